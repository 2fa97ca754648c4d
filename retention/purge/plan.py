"""Planning a destruction, approving it as another person, taking it back.

Nothing is touched here. What is approved is the plan that was shown: its digest is part of the approval.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import orjson
import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import segments, timestamp
from retention.crypto.bodies import BodyCipher
from retention.crypto.suites import Suite
from retention.keys.periods import PeriodKeys
from retention.objects.base import ObjectStore
from retention.objects.locking import can_lock
from retention.policies.errors import PolicyUnknownError
from retention.policies.judge import UnitState, Verdict, judge
from retention.policies.model import shipped_matrix
from retention.policies.partly import PartState, partly_due
from retention.policies.periods import shanghai_date
from retention.policies.settings import RetentionSettings
from retention.purge.clock import check_clock
from retention.purge.errors import NothingDueError, PurgeApprovalError, PurgeStateError, PurgeUnknownError
from retention.purge.tables import purge_units, purges
from retention.second_person import check_second_person
from retention.segments import Archive

PLANNED: Final = "planned"
APPROVED: Final = "approved"
RUNNING: Final = "running"
CERTIFIED: Final = "certified"
"""Everything is gone from the archive; backups of the store of keys may still hold the keys."""
FINAL: Final = "final"
CANCELLED: Final = "cancelled"
DROPPED: Final = "dropped"
"""State of a unit that was planned and may not go after all."""


class Parts(Protocol):
    """What destruction needs of an open store."""

    @property
    def catalogue(self) -> Catalogue:
        """Segments, holds, purges."""
        ...

    @property
    def archive(self) -> Archive:
        """The suite, for digests."""
        ...

    @property
    def objects(self) -> ObjectStore:
        """Where the segments lie."""
        ...

    @property
    def period_keys(self) -> PeriodKeys:
        """The keys to shred."""
        ...

    @property
    def bodies(self) -> BodyCipher:
        """The key of blinded names."""
        ...


@dataclass(frozen=True, slots=True)
class PlannedUnit:
    """A unit of a purge as the tables have it. ``kept_rows`` of its ``rows`` are carried over to other keys."""

    unit_id: int
    key_id: str
    record_class: str
    periods: str
    segments: int
    rows: int
    bytes_stored: int
    policy: str
    expired_on: str
    kept_rows: int = 0
    state: str = PLANNED
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class Purge:
    """A purge and its units."""

    purge_id: str
    state: str
    reason: str
    plan_digest: str
    planned_by: str
    planned_at: str
    approved_by: str | None
    approved_at: str | None
    waits_until: str | None
    final_after: str | None
    certificate: str | None
    signature: str | None
    units: tuple[PlannedUnit, ...]

    def as_json(self) -> dict[str, object]:
        """The purge for programs, without the certificate."""
        found = {name: getattr(self, name) for name in self.__slots__ if name not in {"units", "certificate"}}
        units = [{name: getattr(unit, name) for name in unit.__slots__} for unit in self.units]
        return {**found, "units": units, "certified": self.certificate is not None}


def due_units(
    parts: Parts, now: datetime, settings: RetentionSettings, classes: Iterable[str] | None = None
) -> list[UnitState]:
    """Units that may go today: due by their policy, free of holds and tickets, and of locks of the object store."""
    wanted = _classes(classes)
    with parts.catalogue.read() as connection:
        states = judge(connection, shanghai_date(now), settings=settings)
    due = [s for s in states if s.verdict is Verdict.DUE and (wanted is None or s.record_class in wanted)]
    return [state for state in due if locked_until(parts, state.segments, now) is None]


def _classes(names: Iterable[str] | None) -> set[str] | None:
    """The classes that a plan is confined to.

    Raises:
        PolicyUnknownError: there is no such class: a plan of nothing would look like nothing due.
    """
    wanted, known = None if names is None else set(names), shipped_matrix().policies
    for name in sorted(wanted or ()):
        if name not in known:
            raise PolicyUnknownError(f"There is no record class {name[:40]!r}.", cure=f"Known: {', '.join(known)}.")
    return wanted


def locked_until(parts: Parts, names: Sequence[str], now: datetime) -> datetime | None:
    """The latest moment until which the object store itself refuses to delete one of these segments."""
    objects = parts.objects
    if not can_lock(objects):
        return None
    with parts.catalogue.read() as connection:
        found = connection.execute(sa.select(segments.c.object_name).where(segments.c.segment_id.in_(names))).scalars()
        locks = [objects.locked_until(name) for name in found]
    latest = max((lock for lock in locks if lock is not None), default=None)
    return latest if latest is not None and latest > now else None


def part_units(
    parts: Parts, now: datetime, settings: RetentionSettings, classes: Iterable[str] | None = None
) -> list[PartState]:
    """Units of which a part has run out so long ago that the rest is carried over to other keys."""
    wanted = _classes(classes)
    with parts.catalogue.read() as connection:
        found = partly_due(connection, shanghai_date(now), settings)
    chosen = [part for part in found if wanted is None or part.state.record_class in wanted]
    return [part for part in chosen if locked_until(parts, part.state.segments, now) is None]


def plan(
    parts: Parts,
    *,
    reason: str,
    actor: str,
    now: datetime,
    settings: RetentionSettings,
    classes: Iterable[str] | None = None,
    witnessed: datetime | None = None,
) -> Purge:
    """Plan the destruction of everything that is due, and of the part of a unit whose rest must outlive it.

    Units of other plans that are under way are left to those.

    Raises:
        ClockRefusedError: the machine's clock cannot be trusted.
        NothingDueError: nothing is due.
        PurgeStateError, PolicyUnknownError: no reason is given; there is no such class.
    """
    if not reason.strip():
        raise PurgeStateError("A purge needs its reason.", cure='Say what it is for: --plan "third quarter".')
    with parts.catalogue.read() as connection:
        check_clock(connection, now, settings, witnessed=witnessed)
    due = [_unit(state) for state in due_units(parts, now, settings, classes)]
    due += [_part(part) for part in part_units(parts, now, settings, classes)]
    purge_id = f"P{secrets.token_hex(8)}"
    with parts.catalogue.write() as connection:
        busy = set(
            connection.execute(
                sa.select(purge_units.c.key_id)
                .select_from(purge_units.join(purges, purges.c.purge_id == purge_units.c.purge_id))
                .where(purges.c.state.in_((PLANNED, APPROVED, RUNNING)), purge_units.c.state != DROPPED)
            ).scalars()
        )
        units = [unit for unit in due if unit.key_id not in busy]
        if not units:
            raise NothingDueError(
                "Nothing may be destroyed today.", cure="`liucun retention simulate --at DATE` shows what is due when."
            )
        digest = plan_digest(parts.archive.suite, purge_id, units)
        connection.execute(
            purges.insert().values(
                purge_id=purge_id,
                state=PLANNED,
                reason=reason,
                plan_digest=digest,
                planned_by=actor,
                planned_at=timestamp(now),
            )
        )
        connection.execute(
            purge_units.insert(),
            [{"purge_id": purge_id, **{name: getattr(unit, name) for name in unit.__slots__}} for unit in units],
        )
        body = {"plan": digest, "units": len(units), "records": sum(unit.rows - unit.kept_rows for unit in units)}
        events.append(connection, kind="purge.planned", actor=actor, subject=f"purge:{purge_id}", body=body, at=now)
    return read_purge(parts.catalogue, purge_id)


def approve(
    parts: Parts, purge_id: str, *, digest: str | None, actor: str, now: datetime, settings: RetentionSettings
) -> Purge:
    """Approve a plan as another person; it can be carried out after ``purge_waiting_days``.

    Args:
        digest: digest of the plan that the approver has seen; None when it was shown by this very call.

    Raises:
        PurgeApprovalError: the same person, or another plan than the one seen.
        PurgeUnknownError, PurgeStateError: there is no such plan, or it is approved or cancelled already.
    """
    with parts.catalogue.write() as connection:
        row = row_of(connection, purge_id)
        if row.state != PLANNED:
            raise PurgeStateError(f"The purge {purge_id} is {row.state}.", cure="Only a plan can be approved.")
        check_second_person(actor, row.planned_by, what=f"the purge {purge_id}")
        found = plan_digest(parts.archive.suite, purge_id, _units(connection, purge_id))
        if found != row.plan_digest or digest not in (None, found):
            raise PurgeApprovalError(
                f"The plan of {purge_id} is not the one that was shown.", cure="Look at it again, then approve."
            )
        until = now + timedelta(days=settings.purge_waiting_days)
        connection.execute(
            purges.update()
            .where(purges.c.purge_id == purge_id)
            .values(state=APPROVED, approved_by=actor, approved_at=timestamp(now), waits_until=timestamp(until))
        )
        body = {"plan": found, "waits_until": timestamp(until)}
        events.append(connection, kind="purge.approved", actor=actor, subject=f"purge:{purge_id}", body=body, at=now)
    return read_purge(parts.catalogue, purge_id)


def cancel(parts: Parts, purge_id: str, *, reason: str, actor: str, now: datetime) -> Purge:
    """Take a purge back that has not begun. Anybody with the right may, and one is enough.

    Raises:
        PurgeUnknownError, PurgeStateError: there is none, it has begun, or no reason is given.
    """
    if not reason.strip():
        raise PurgeStateError("A purge is not taken back without a reason.", cure="Give --reason TEXT.")
    with parts.catalogue.write() as connection:
        row = row_of(connection, purge_id)
        if row.state not in (PLANNED, APPROVED):
            raise PurgeStateError(f"The purge {purge_id} is {row.state}.", cure="What has begun is carried to its end.")
        connection.execute(purges.update().where(purges.c.purge_id == purge_id).values(state=CANCELLED))
        events.append(
            connection, kind="purge.cancelled", actor=actor, subject=f"purge:{purge_id}", body={"why": reason}, at=now
        )
    return read_purge(parts.catalogue, purge_id)


def read_purge(catalogue: Catalogue, purge_id: str) -> Purge:
    """A purge.

    Raises:
        PurgeUnknownError: there is none of this id.
    """
    with catalogue.read() as connection:
        row = row_of(connection, purge_id)
        return _purge(connection, row)


def list_purges(catalogue: Catalogue) -> list[Purge]:
    """Every purge there ever was, oldest first."""
    with catalogue.read() as connection:
        rows = connection.execute(sa.select(purges).order_by(purges.c.planned_at, purges.c.purge_id)).all()
        return [_purge(connection, row) for row in rows]


def row_of(connection: sa.Connection, purge_id: str) -> sa.Row[Any]:
    """The row of a purge.

    Raises:
        PurgeUnknownError: there is none of this id.
    """
    row = connection.execute(sa.select(purges).where(purges.c.purge_id == purge_id)).one_or_none()
    if row is None:
        raise PurgeUnknownError(f"There is no purge {purge_id[:40]!r}.", cure="`liucun purge --list` shows them.")
    return row


def plan_digest(suite: Suite, purge_id: str, units: Iterable[PlannedUnit]) -> str:
    """Digest of what a plan destroys: units, keys, amounts and grounds."""
    lines = sorted(
        [unit.key_id, unit.record_class, unit.periods, unit.rows, unit.kept_rows, unit.bytes_stored, unit.policy]
        for unit in units
    )
    return suite.hash(orjson.dumps(["liucun/purge-plan/v1", purge_id, lines])).hex()


def _unit(state: UnitState) -> PlannedUnit:
    assert state.expires_on is not None
    return PlannedUnit(
        unit_id=state.unit_id,
        key_id=state.key_id,
        record_class=state.record_class,
        periods=" ".join(state.periods),
        segments=len(state.segments),
        rows=state.rows,
        bytes_stored=state.bytes_stored,
        policy=f"{state.policy.label}: {state.policy.floor} {state.policy.counted_from.value}; {state.policy.basis}",
        expired_on=state.expires_on.isoformat(),
    )


def _part(part: PartState) -> PlannedUnit:
    return replace(_unit(replace(part.state, expires_on=part.expired_on)), kept_rows=part.state.rows - part.run_out)


def _purge(connection: sa.Connection, row: sa.Row[Any]) -> Purge:
    names = [name for name in Purge.__slots__ if name != "units"]
    return Purge(**{name: getattr(row, name) for name in names}, units=_units(connection, row.purge_id))


def _units(connection: sa.Connection, purge_id: str) -> tuple[PlannedUnit, ...]:
    c = purge_units.c
    columns = [c[name] for name in PlannedUnit.__slots__]
    rows = connection.execute(sa.select(*columns).where(c.purge_id == purge_id).order_by(c.unit_id))
    return tuple(PlannedUnit(*row) for row in rows)
