"""The clocks' step of timed work: alarms of missed targets, warnings of days 5, 8 and 9, escalation, recounting.

Every warning goes out once (``ticket_warnings``) and leaves an event. Whoever was asleep through several steps gets
the most serious one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from retention.audits.gaps import Silence
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies
from tickets.calendar.working_days import WorkingCalendar
from tickets.nearing import ClockWarning, Nearing, title_of
from tickets.notices import notify
from tickets.recount import recount
from tickets.settings import TicketSettings
from tickets.states import TO_DISPOSE, Part, State
from tickets.tables import tickets as table
from tickets.tables_sending import orders
from tickets.tables_work import warnings

ACTOR: Final = "system:clock"
_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Watched:
    """What one step found: targets missed, orders without answer, warnings given, deadlines recounted."""

    missed: int = 0
    unanswered: int = 0
    warned: int = 0
    recounted: int = 0


class Watch:
    """Looks at every clock of a store; ``now`` is for tests."""

    def __init__(
        self,
        catalogue: Catalogue,
        bodies: Bodies,
        calendar: WorkingCalendar,
        settings: TicketSettings,
        *,
        now: datetime | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.bodies = bodies
        self.calendar = calendar
        self.settings = settings
        self.now = (now or datetime.now(UTC)).astimezone(UTC)

    def step(self) -> Watched:
        """Look at everything once; worth a call a minute."""
        recounted = recount(self.catalogue, self.calendar, self.settings, actor=ACTOR)
        missed = self._missed_targets()
        unanswered = self._unanswered_orders()
        warned = self._warn([*Nearing(self.catalogue, self.calendar, self.now)])
        return Watched(missed, unanswered, warned, len(recounted))

    def silent_sources(self, found: Sequence[Silence]) -> int:
        """Raise an alarm for sources that are silent longer than usual, once for each silence."""
        return self._warn(
            [
                ClockWarning(
                    f"source:{_short(one.source)}@{timestamp(one.last)[:16]}",
                    "source",
                    "silent",
                    f"{one.source}: {one.words(self.now)}",
                )
                for one in found
            ]
        )

    def _missed_targets(self) -> int:
        """Content still up past its target (立即: the target is in minutes from detection)."""
        c = table.c
        with self.catalogue.write(row_locks=True) as connection:
            late = connection.execute(
                sa.select(c.ticket_id, c.category, c.severity, c.dispose_by)
                .where(
                    c.state.in_([state.value for state in TO_DISPOSE]),
                    c.dispose_by < timestamp(self.now),
                    c.missed_at.is_(None),
                )
                .order_by(c.dispose_by)
                .limit(_MOST)
                .with_for_update()
            ).all()
            ids = [row.ticket_id for row in late]
            self._mark(connection, ids, {"missed_at": timestamp(self.now)}, "ticket.target_missed")
            lines = [f"{row.ticket_id} {row.category} 级别 {row.severity}" for row in late]
            self._tell(
                connection,
                "missed",
                ids,
                f"{len(ids)} 件超过处置时限, past the disposal target",
                lines,
                escalate=True,
                tickets=ids,
            )
        return len(ids)

    def _unanswered_orders(self) -> int:
        """Orders that the platform did not acknowledge in time: their tickets are to be disposed of again."""
        o, c = orders.c, table.c
        limit = timestamp(self.now - timedelta(minutes=self.settings.acknowledgement_minutes))
        with self.catalogue.write(row_locks=True) as connection:
            silent = connection.execute(
                sa.select(o.order_id, o.ticket_id, o.measure, c.effective_at, c.state)
                .join(table, c.ticket_id == o.ticket_id)
                .where(o.state == "waiting", o.ordered_at < limit, o.alarmed_at.is_(None))
                .order_by(o.ordered_at)
                .limit(_MOST)
            ).all()
            for row in silent:
                stamp = {"alarmed_at": timestamp(self.now)}
                connection.execute(orders.update().where(o.order_id == row.order_id).values(**stamp))
            back = [row.ticket_id for row in silent if row.effective_at is None and row.state == State.DISPOSED]
            back = list(dict.fromkeys(back))
            columns = {"part": int(Part.DISPOSE), "missed_at": timestamp(self.now)}
            self._mark(connection, back, columns, "ticket.unacknowledged")
            ids = [row.order_id for row in silent]
            lines = [f"{row.ticket_id} {row.measure} {row.order_id}" for row in silent]
            self._tell(
                connection,
                "silent",
                ids,
                f"{len(ids)} 条处置指令未获平台确认, orders without answer",
                lines,
                escalate=True,
                tickets=[row.ticket_id for row in silent],
            )
        return len(silent)

    def _warn(self, found: Sequence[ClockWarning]) -> int:
        """Give the warnings that were not given yet."""
        given = 0
        for begin in range(0, len(found), _MOST):
            part = found[begin : begin + _MOST]
            with self.catalogue.write(row_locks=True) as connection:
                new = self._not_given(connection, part)
                if not new:
                    continue
                at = timestamp(self.now)
                rows = [{"subject": w.subject, "clock": w.clock, "step": w.step, "at": at} for w in new]
                connection.execute(warnings.insert(), rows)
                bodies = [(w.subject, {"clock": w.clock, "step": w.step}) for w in new]
                events.append_many(connection, bodies, kind="clock.warned", actor=ACTOR)
                for clock, step in sorted({(w.clock, w.step) for w in new}):
                    own = [w for w in new if (w.clock, w.step) == (clock, step)]
                    title = title_of(clock, step, len(own))
                    subjects = [w.subject for w in own]
                    lines = [w.line for w in own]
                    named = [s.removeprefix("ticket:") for s in subjects if s.startswith("ticket:")]
                    serious = own[0].is_serious
                    self._tell(connection, f"{clock}:{step}", subjects, title, lines, escalate=serious, tickets=named)
                given += len(new)
        return given

    @staticmethod
    def _not_given(connection: sa.Connection, found: Sequence[ClockWarning]) -> list[ClockWarning]:
        w = warnings.c
        subjects = sorted({warning.subject for warning in found})
        given: set[tuple[str, str, str]] = set()
        for begin in range(0, len(subjects), 500):
            chosen = sa.select(w.subject, w.clock, w.step).where(w.subject.in_(subjects[begin : begin + 500]))
            given |= {(row.subject, row.clock, row.step) for row in connection.execute(chosen)}
        return [warning for warning in found if (warning.subject, warning.clock, warning.step) not in given]

    def _mark(self, connection: sa.Connection, ids: Sequence[str], columns: dict[str, object], kind: str) -> None:
        if not ids:
            return
        c = table.c
        statement = table.update().where(c.ticket_id == sa.bindparam("b_id")).values(**columns, version=c.version + 1)
        connection.execute(statement, [{"b_id": number} for number in ids])
        events.append_many(connection, [(f"ticket:{number}", columns) for number in ids], kind=kind, actor=ACTOR)

    def _tell(
        self,
        connection: sa.Connection,
        what: str,
        subjects: Sequence[str],
        title: str,
        lines: Sequence[str],
        *,
        escalate: bool = False,
        tickets: Sequence[str] = (),
    ) -> None:
        if subjects:
            key = f"{what}\x00{timestamp(self.now)}\x00{subjects[0]}"
            notify(
                connection,
                self.bodies,
                self.settings,
                key=key,
                subject=f"clock:{what}"[:64],
                title=title,
                lines=lines,
                escalate=escalate,
                tickets=tickets,
            )


def _short(source: str) -> str:
    """A source's name in the 40 characters that a warning's subject has for it."""
    return source if len(source) <= 40 else f"{source[:31]}~{hashlib.sha256(source.encode()).hexdigest()[:8]}"
