"""The marks that readers leave before they begin a batch after a start, so that what kills their process is found.

A record that ends the process (a fault in native code, memory that runs out) leaves nobody to tell of it. What stays is
the mark: a row of ``attempts`` says where a reader began, how far its batch reached and how often that was tried since
the cursor last moved. The commit that moves the cursor takes the mark away in the same transaction; whoever fails and
lives takes it back. A mark that is left is a worker that died.

``narrowed`` says that the range is, or is part of, one over which workers died; a commit inside of it keeps the rest
under suspicion (``tries`` 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.tables import attempts, partitions, timestamp

TRIES: Final = 3
"""After how many deaths at the same cursor a range is suspected, and after how many a record that stands alone."""
FRESH: Final = timedelta(minutes=2)
"""How long a mark is taken for that of a reader which is at work, or comes back."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The mark of a partition: a range [cursor, end) of ``records`` records (0: unknown), begun ``tries`` times.

    ``since`` is the first of these tries, ``at`` the last (UTC).
    """

    source: str
    partition: str
    cursor: int
    end: int
    records: int
    tries: int
    narrowed: bool
    since: datetime
    at: datetime


def attempt(connection: sa.Connection, source: str, partition: str) -> Attempt | None:
    """The mark of a partition, whatever its cursor is now."""
    row = connection.execute(sa.select(attempts).where(_of(source, partition))).one_or_none()
    return None if row is None else _read(row)


def begin(
    connection: sa.Connection, source: str, partition: str, start: int, end: int, *, records: int, narrowed: bool
) -> bool:
    """Leave the mark of a batch that is begun; whether it counts (others may have come further meanwhile).

    Several marks of one range are one that counts its tries. Call it in a transaction with row locks.
    """
    a = attempts.c
    before = connection.execute(sa.select(attempts).where(_of(source, partition)).with_for_update()).one_or_none()
    now = timestamp()
    fresh = {"cursor": start, "end": end, "records": records, "tries": 1, "narrowed": narrowed}
    if before is None:
        connection.execute(attempts.insert().values(source=source, partition=partition, **fresh, since=now, at=now))
        return True
    if before.cursor > start or (before.cursor == start and before.narrowed and not narrowed):
        return False
    same = before.cursor == start and before.narrowed == narrowed and (not narrowed or before.end == end)
    if not same:
        connection.execute(attempts.update().where(_of(source, partition)).values(**fresh, since=now, at=now))
        return True
    # The longest of them holds what the others died over.
    reach = {"end": end, "records": records} if end >= before.end else {}
    connection.execute(attempts.update().where(_of(source, partition)).values(tries=a.tries + 1, at=now, **reach))
    return True


def take_back(connection: sa.Connection, source: str, partition: str, start: int, *, narrowed: bool) -> None:
    """Undo one ``begin``: the batch failed for a reason that is not its own, or was given up."""
    a = attempts.c
    mine = sa.and_(_of(source, partition), a.cursor == start, a.narrowed.is_(narrowed))
    connection.execute(attempts.update().where(mine, a.tries > 0).values(tries=a.tries - 1))
    connection.execute(attempts.delete().where(mine, a.tries == 0, a.narrowed.is_(False)))


def passed(connection: sa.Connection, source: str, partition: str, end: int, *, suspect: int | None) -> None:
    """The cursor moves to ``end``: take the mark away, or leave what remains up to ``suspect`` under suspicion."""
    a = attempts.c
    mine = sa.and_(_of(source, partition), a.cursor < end)
    if suspect is None or end >= suspect:
        connection.execute(attempts.delete().where(mine))
        return
    now = timestamp()
    connection.execute(
        attempts.update()
        .where(mine)
        .values(cursor=end, end=suspect, records=0, tries=0, narrowed=True, since=now, at=now)
    )


def others_at_work(connection: sa.Connection, source: str, partition: str) -> bool:
    """Whether other partitions have marks that may end this one's process, or have a turn before this one.

    A record that stands alone is tried while no other range is under way, and several of them one after the other, by
    name: else one that kills its worker, and with it the job, would be held against its neighbours.
    """
    a, p = attempts.c, partitions.c
    before = sa.or_(a.source < source, sa.and_(a.source == source, a.partition < partition))
    alone = sa.and_(a.narrowed, a.records == 1)
    chosen = (
        sa.select(sa.literal(1))
        .select_from(attempts.join(partitions, sa.and_(p.source == a.source, p.partition == a.partition)))
        .where(
            p.cursor == a.cursor,
            p.finished.is_(False),
            a.at > timestamp(datetime.now(UTC) - FRESH),
            sa.not_(_of(source, partition)),
            sa.or_(sa.not_(alone), before),
        )
        .limit(1)
    )
    return connection.execute(chosen).one_or_none() is not None


def suspect() -> sa.Select[int]:
    """Counts the partitions over whose next records workers died, so that they are read in parts."""
    a, p = attempts.c, partitions.c
    return (
        sa.select(sa.func.count())
        .select_from(attempts.join(partitions, sa.and_(p.source == a.source, p.partition == a.partition)))
        .where(p.cursor == a.cursor, p.finished.is_(False), sa.or_(a.narrowed, a.tries >= TRIES))
    )


def _of(source: str, partition: str) -> sa.ColumnElement[bool]:
    return sa.and_(attempts.c.source == source, attempts.c.partition == partition)


def _read(row: Any) -> Attempt:
    return Attempt(
        row.source,
        row.partition,
        row.cursor,
        row.end,
        row.records,
        row.tries,
        row.narrowed,
        datetime.fromisoformat(row.since),
        datetime.fromisoformat(row.at),
    )
