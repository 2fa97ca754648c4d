"""Carrying out a destruction: claim a unit, delete its objects, shred its key, certify; resumable at every step.

The claim is the point of no return, and one transaction: the unit is judged again, its segments leave the catalogue of
what can be read, its key is retired (no commit may name it any more). Before the claim a unit can be dropped; after
it the only way is forward, however often the program is stopped. A certificate is issued when all of it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.key_use import live_segments, retire
from retention.catalogue.tables import retired_segments, timestamp
from retention.errors import KeyDestroyedError, ObjectLockedError, ObjectMissingError
from retention.keys.periods import PeriodKeys
from retention.policies.listings import forget_articles
from retention.policies.settings import RetentionSettings
from retention.policies.tables import segment_subjects, subjects, unit_segments, units
from retention.purge.beside import sealed_beside
from retention.purge.claim import CLAIMED, claim, class_of, key_of, set_unit
from retention.purge.clock import check_clock
from retention.purge.errors import PurgeStateError, PurgeUnfinishedError
from retention.purge.plan import APPROVED, CERTIFIED, DROPPED, FINAL, PLANNED, RUNNING, Parts, row_of
from retention.purge.tables import purge_segments, purge_units, purges

DELETED: Final = "deleted"
SHREDDED: Final = "shredded"

Step = Callable[[str], None]
"""Called before each step with its name; for tests that stop there."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a purge is: units destroyed, dropped, and waiting for a lock of the object store."""

    destroyed: int
    dropped: int
    waiting: int


def carry_out(
    parts: Parts,
    purge_id: str,
    *,
    actor: str,
    now: datetime,
    settings: RetentionSettings,
    witnessed: datetime | None = None,
    step: Step = lambda _name: None,
) -> Progress:
    """Destroy what a purge planned, as far as it may still go. Run it again after any interruption.

    Raises:
        ClockRefusedError: the machine's clock cannot be trusted; nothing was touched by this call.
        PurgeUnknownError, PurgeStateError: there is no such purge, it is not approved, or its wait is not over.
        PurgeUnfinishedError: something could not be deleted or shredded yet; the rest is done.
        StorageError, KeyAccessError: a step failed; run it again.
    """
    _start(parts, purge_id, actor, now, settings, witnessed, step)
    waiting: list[str] = []
    for unit_id, state in _units(parts, purge_id):
        found = state
        if found == PLANNED:
            step(f"claim {unit_id}")
            found = claim(parts, purge_id, unit_id, actor=actor, now=now, settings=settings, step=step)
        if found == CLAIMED:
            why = _delete_objects(parts, purge_id, unit_id, actor, now, step)
            if why is not None:
                waiting.append(why)
                continue
            found = DELETED
        if found == DELETED:
            step(f"shred {unit_id}")
            _shred(parts, purge_id, unit_id, actor, now, step)
    states = [state for _, state in _units(parts, purge_id)]
    if waiting:
        raise PurgeUnfinishedError(waiting[0], cure="The same purge goes on when the lock is over.")
    return Progress(states.count(SHREDDED), states.count(DROPPED), 0)


def _start(
    parts: Parts,
    purge_id: str,
    actor: str,
    now: datetime,
    settings: RetentionSettings,
    witnessed: datetime | None,
    step: Step,
) -> None:
    with parts.catalogue.read() as connection:
        check_clock(connection, now, settings, witnessed=witnessed)
    step("start")
    with parts.catalogue.write() as connection:
        row = row_of(connection, purge_id)
        if row.state in (RUNNING, CERTIFIED, FINAL):
            return
        if row.state != APPROVED:
            raise PurgeStateError(
                f"The purge {purge_id} is {row.state}, not approved.", cure="Another person approves it first."
            )
        if timestamp(now) < row.waits_until:
            raise PurgeStateError(
                f"The purge {purge_id} waits until {row.waits_until}.", cure="Until then it can be cancelled."
            )
        connection.execute(
            purges.update().where(purges.c.purge_id == purge_id).values(state=RUNNING, started_at=timestamp(now))
        )
        events.append(connection, kind="purge.started", actor=actor, subject=f"purge:{purge_id}", body={}, at=now)


def _units(parts: Parts, purge_id: str) -> list[tuple[int, str]]:
    c = purge_units.c
    with parts.catalogue.read() as connection:
        rows = connection.execute(sa.select(c.unit_id, c.state).where(c.purge_id == purge_id).order_by(c.unit_id))
        return [(row.unit_id, row.state) for row in rows]


def _delete_objects(parts: Parts, purge_id: str, unit_id: int, actor: str, now: datetime, step: Step) -> str | None:
    """Delete what is left of a unit's objects; why not, when the object store holds one back."""
    c, r = purge_segments.c, retired_segments.c
    with parts.catalogue.read() as connection:
        left = connection.execute(
            sa.select(c.segment_id, c.object_name)
            .select_from(purge_segments.join(retired_segments, r.segment_id == c.segment_id))
            .where(c.purge_id == purge_id, c.unit_id == unit_id, r.object_deleted_at.is_(None))
            .order_by(c.segment_id)
        ).all()
    for segment_id, name in left:
        step(f"delete {name}")
        try:
            parts.objects.delete(name)
        except ObjectMissingError:
            # An earlier attempt deleted it and was stopped before it could say so.
            pass
        except ObjectLockedError as error:
            return error.what
        step(f"deleted {name}")
        with parts.catalogue.write() as connection:
            connection.execute(
                retired_segments.update().where(r.segment_id == segment_id).values(object_deleted_at=timestamp(now))
            )
    step(f"all deleted {unit_id}")
    with parts.catalogue.write() as connection:
        set_unit(connection, purge_id, unit_id, state=DELETED)
        events.append(
            connection,
            kind="purge.objects_deleted",
            actor=actor,
            subject=f"purge:{purge_id}",
            body={"unit": unit_id, "objects": len(left)},
            at=now,
        )
    return None


def _shred(parts: Parts, purge_id: str, unit_id: int, actor: str, now: datetime, step: Step) -> None:
    """Destroy the unit's key, then forget what the index knew of its subjects.

    Raises:
        PurgeStateError: the key seals something that can be read, which the purge knows nothing of.
    """
    with parts.catalogue.write() as connection:
        key_id = key_of(connection, purge_id, unit_id)
        retire(connection, key_id, purge_id)
        record_class = class_of(connection, purge_id, unit_id)
    # What is not under a retired key never will be: it is counted without keeping writers waiting.
    with parts.catalogue.read() as connection:
        found = live_segments(connection, key_id, record_class)
        found += sealed_beside(connection, key_id, record_class)
    if found:
        raise PurgeStateError(
            f"The key {key_id} seals {found:,} segments, tickets, files or filed papers that are no part of the purge "
            f"{purge_id}: it stays.",
            cure="They were taken in after the unit was claimed. Ask who put an older catalogue in its place.",
        )
    shred_key(parts.period_keys, key_id)
    step(f"shredded {unit_id}")
    with parts.catalogue.write() as connection:
        number = connection.execute(sa.select(units.c.unit_id).where(units.c.key_id == key_id)).scalar_one_or_none()
        if number is not None:
            _forget_subjects(connection, number)
            connection.execute(units.update().where(units.c.unit_id == number).values(destroyed_at=timestamp(now)))
        set_unit(connection, purge_id, unit_id, state=SHREDDED, destroyed_at=timestamp(now))
        events.append(
            connection,
            kind="purge.unit_destroyed",
            actor=actor,
            subject=f"purge:{purge_id}",
            body={"key": key_id},
            at=now,
        )


def shred_key(period_keys: PeriodKeys, key_id: str) -> None:
    """Destroy a period key; one that is destroyed already stays so.

    Raises:
        BusyError: it is destroyed, but its journal cannot be emptied yet: run it again.
    """
    try:
        period_keys.destroy(key_id)
    except KeyDestroyedError:
        period_keys.empty_journal()


def _forget_subjects(connection: sa.Connection, unit_id: int) -> None:
    """What no segment names any more leaves the index, hash and all."""
    m, n, c = unit_segments.c, segment_subjects.c, subjects.c
    numbers = sa.select(m.number).where(m.unit_id == unit_id).scalar_subquery()
    connection.execute(segment_subjects.delete().where(n.number.in_(numbers)))
    connection.execute(unit_segments.delete().where(m.unit_id == unit_id))
    named = sa.select(n.number).where(n.blind == c.blind).exists()
    connection.execute(subjects.delete().where(sa.not_(named)))
    forget_articles(connection)
