"""The clocks' step of timed work: alarms of missed targets, warnings of days 5, 8 and 9, escalation, recounting.

Every warning goes out once (``ticket_warnings``) and leaves an event. Whoever was asleep through several steps gets
the most serious one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from retention.audits.gaps import Silence
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies
from tickets.calendar.working_days import WorkingCalendar
from tickets.clocks import SHANGHAI
from tickets.notices import notify
from tickets.recount import recount
from tickets.running import police_runs
from tickets.settings import TicketSettings
from tickets.states import TO_DISPOSE, Part, State
from tickets.steps.base import as_time
from tickets.tables import tickets as table
from tickets.tables_sending import duties, orders
from tickets.tables_work import warnings

ACTOR: Final = "system:clock"
_MOST: Final = 1_000
OVERDUE: Final = "overdue"
DAY_STEPS: Final = ((1, "day9"), (2, "day8"), (5, "day5"))
"""Working days left and the warning of it: days 9, 8 and 5 of ten."""
HOUR_STEPS: Final = ((1, "1h"), (6, "6h"))
DUTY_STEPS: Final = ((1, "1d"), (7, "7d"), (30, "30d"))
SERIOUS: Final = frozenset({"day9", "1h", OVERDUE, "1d", "silent"})


@dataclass(frozen=True, slots=True)
class Watched:
    """What one step found: targets missed, orders without answer, warnings given, deadlines recounted."""

    missed: int = 0
    unanswered: int = 0
    warned: int = 0
    recounted: int = 0


@dataclass(frozen=True, slots=True)
class _Warning:
    subject: str
    clock: str
    step: str
    line: str


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
        self.today = self.now.astimezone(SHANGHAI).date()

    def step(self) -> Watched:
        """Look at everything once; worth a call a minute."""
        recounted = recount(self.catalogue, self.calendar, self.settings, actor=ACTOR)
        missed = self._missed_targets()
        unanswered = self._unanswered_orders()
        warned = self._warn([*self._reports_due(), *self._police_due(), *self._duties_due(), *self._horizon()])
        return Watched(missed, unanswered, warned, len(recounted))

    def silent_sources(self, found: Sequence[Silence]) -> int:
        """Raise an alarm for sources that are silent longer than usual, once for each silence."""
        return self._warn(
            [
                _Warning(
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

    def _reports_due(self) -> Iterable[_Warning]:
        c = table.c
        horizon = timestamp(self.now + timedelta(days=30))
        with self.catalogue.read() as connection:
            rows = connection.execute(
                sa.select(c.ticket_id, c.due_on, c.due_at)
                .where(c.state == State.DISPOSED.value, c.due_at.is_not(None), c.due_at < horizon)
                .order_by(c.due_at)
            ).all()
        for row in rows:
            step = self._day_step(date.fromisoformat(row.due_on), row.due_at)
            if step:
                line = f"{row.ticket_id} 上报截止 {row.due_on}" + (" 已逾期 overdue" if step == OVERDUE else "")
                yield _Warning(f"ticket:{row.ticket_id}", "authority_report", step, line)

    def _police_due(self) -> Iterable[_Warning]:
        c = table.c
        with self.catalogue.read() as connection:
            rows = connection.execute(
                sa.select(c.ticket_id, c.police_due_at)
                .where(
                    *police_runs(c),
                    c.police_due_at < timestamp(self.now + timedelta(hours=6)),
                )
                .order_by(c.police_due_at)
            ).all()
        for row in rows:
            left = (as_time(row.police_due_at) - self.now).total_seconds() / 3600
            step = OVERDUE if left < 0 else next((name for hours, name in HOUR_STEPS if left <= hours), None)
            if step:
                line = f"{row.ticket_id} 公安报告截止 {_local(row.police_due_at)}"
                yield _Warning(f"ticket:{row.ticket_id}", "police_report", step, line)

    def _duties_due(self) -> Iterable[_Warning]:
        d = duties.c
        with self.catalogue.read() as connection:
            rows = connection.execute(
                sa.select(d.duty_id, d.clock, d.due_at, d.started_at).where(
                    d.state == "open", d.due_at < timestamp(self.now + timedelta(days=31))
                )
            ).all()
        for row in rows:
            left = as_time(row.due_at) - self.now
            quick = as_time(row.due_at) - as_time(row.started_at) < timedelta(days=2)
            if left < timedelta():
                step: str | None = OVERDUE
            elif quick:
                step = next((name for hours, name in HOUR_STEPS if left <= timedelta(hours=hours)), None)
            else:
                step = next((name for days, name in DUTY_STEPS if left <= timedelta(days=days)), None)
            if step:
                yield _Warning(
                    f"duty:{row.duty_id}", row.clock, step, f"{row.duty_id} {row.clock} {_local(row.due_at)}"
                )

    def _horizon(self) -> Iterable[_Warning]:
        """From 1 November while next year's calendar is missing, once a week."""
        missing = self.today.year + 1 if self.today.month >= 11 else self.today.year
        if self.calendar.verified_through.year < missing:
            year, week, _ = self.today.isocalendar()
            line = f"缺少 {missing} 年工作日历: liucun calendar import"
            yield _Warning(f"calendar:{missing}", "calendar", f"{year}w{week:02}", line)

    def _day_step(self, due_on: date, due_at: str) -> str | None:
        if due_at < timestamp(self.now):
            return OVERDUE
        left, day = 0, self.today
        while day < due_on and left <= DAY_STEPS[-1][0]:
            day += timedelta(days=1)
            left += self.calendar.is_working_day(day)
        return next((name for days, name in DAY_STEPS if left <= days), None)

    def _warn(self, found: Sequence[_Warning]) -> int:
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
                    title = f"{_CLOCK_NAMES.get(clock, clock)} {_STEP_NAMES.get(step, '')} ({len(own)})"
                    subjects = [w.subject for w in own]
                    lines = [w.line for w in own]
                    named = [s.removeprefix("ticket:") for s in subjects if s.startswith("ticket:")]
                    serious = step in SERIOUS
                    self._tell(connection, f"{clock}:{step}", subjects, title, lines, escalate=serious, tickets=named)
                given += len(new)
        return given

    @staticmethod
    def _not_given(connection: sa.Connection, found: Sequence[_Warning]) -> list[_Warning]:
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


_CLOCK_NAMES: Final = {
    "authority_report": "上报主管部门 report",
    "police_report": "公安报告 police report",
    "calendar": "工作日历 calendar",
    "incident": "网络安全事件 incident",
    "assessment": "评估报告 assessment",
    "change_filing": "变更备案 change filing",
    "renewal": "许可证续期 renewal",
    "annual_report": "年报 annual report",
    "complaint_reply": "投诉答复 complaint",
    "incident_summary": "事件总结 incident summary",
    "data_leak": "个人信息泄露 data leak",
    "security_test": "等级测评 security test",
    "licence_shown": "许可证编号展示 licence number shown",
    "source": "日志来源 log source",
}
_STEP_NAMES: Final = {
    "day5": "第5日 day 5",
    "day8": "第8日 day 8",
    "day9": "第9日 day 9",
    OVERDUE: "已逾期 overdue",
    "silent": "静默时间异常 silent longer than usual",
    "1h": "剩1小时 1 hour left",
    "6h": "剩6小时 6 hours left",
    "1d": "剩1天 1 day left",
    "7d": "剩7天 7 days left",
    "30d": "剩30天 30 days left",
}


def _short(source: str) -> str:
    """A source's name in the 40 characters that a warning's subject has for it."""
    return source if len(source) <= 40 else f"{source[:31]}~{hashlib.sha256(source.encode()).hexdigest()[:8]}"


def _local(text: str) -> str:
    return as_time(text).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
