"""How far each source has come: partitions, their cursors, and the ranges planned ahead of them.

A range is planned before it is read for the pipeline and never changes, so that a run
that was cut off repeats exactly the batches it had begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from errors import StorageError
from retention.catalogue.tables import partitions as partition_table
from retention.catalogue.tables import ranges as range_table
from retention.catalogue.tables import timestamp


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of a source: ``planned`` is the end of its last planned range, never before ``cursor``."""

    source: str
    partition: str
    path: str
    generation: int
    cursor: int
    planned: int
    finished: bool
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedRange:
    """A half-open range of offsets with the SHA-256 (hex) of its bytes."""

    source: str
    partition: str
    start: int
    end: int
    digest: str
    first: bool
    last: bool


def partitions(connection: sa.Connection, source: str) -> list[Partition]:
    """All partitions of a source, by path and generation."""
    p, r = partition_table.c, range_table.c
    planned = (
        sa.select(sa.func.max(r.end))
        .where(r.source == p.source, r.partition == p.partition)
        .correlate(partition_table)
        .scalar_subquery()
    )
    rows = connection.execute(
        sa.select(p.source, p.partition, p.path, p.generation, p.cursor, planned.label("planned"), p.finished, p.hint)
        .where(p.source == source)
        .order_by(p.path, p.generation)
    )
    return [
        Partition(
            row.source, row.partition, row.path, row.generation, row.cursor, row.planned or 0, row.finished, row.hint
        )
        for row in rows
    ]


def add_partition(connection: sa.Connection, *, source: str, partition: str, path: str, generation: int) -> None:
    """Enter a new partition with its cursor at 0."""
    connection.execute(
        partition_table.insert().values(
            source=source,
            partition=partition,
            path=path,
            generation=generation,
            cursor=0,
            finished=False,
            opened_at=timestamp(),
        )
    )


def move_partition(connection: sa.Connection, *, source: str, partition: str, path: str) -> None:
    """Record that the partition's file now lies elsewhere (it was rotated)."""
    _one(connection.execute(_row(source, partition).values(path=path)), partition)


def hint_partition(connection: sa.Connection, source: str, partition: str, hint: str) -> None:
    """Keep a source's remark about a partition, e.g. a file's size and modification time."""
    _one(connection.execute(_row(source, partition).values(hint=hint)), partition)


def finish_partition(connection: sa.Connection, source: str, partition: str) -> None:
    """Record that nothing more will come from this partition."""
    _one(connection.execute(_row(source, partition).values(finished=True)), partition)


def ranges(connection: sa.Connection, source: str, partition: str) -> list[PlannedRange]:
    """Every range of a partition, committed and planned, in order."""
    r = range_table.c
    return _ranges(connection, sa.and_(r.source == source, r.partition == partition))


def first_ranges(connection: sa.Connection, source: str) -> list[PlannedRange]:
    """The range with which each partition of a source begins."""
    r = range_table.c
    return _ranges(connection, sa.and_(r.source == source, r.start == 0))


def unfinished(connection: sa.Connection, source: str) -> list[PlannedRange]:
    """The ranges of a source that were planned and end past their partition's cursor."""
    p, r = partition_table.c, range_table.c
    cursor = sa.select(p.cursor).where(p.source == r.source, p.partition == r.partition).scalar_subquery()
    return _ranges(connection, sa.and_(r.source == source, r.end > cursor))


def plan(connection: sa.Connection, planned: Sequence[PlannedRange]) -> None:
    """Persist ranges that follow on what is already planned."""
    if planned:
        now = timestamp()
        connection.execute(range_table.insert(), [{**asdict(item), "planned_at": now} for item in planned])


def discard(connection: sa.Connection, item: PlannedRange) -> None:
    """Take back a range, and all after it in its partition, whose bytes are gone before they could be archived.

    Nor does a remark of how their file looked hold any more: should it come back, it is read.
    """
    r = range_table.c
    connection.execute(
        range_table.delete().where(r.source == item.source, r.partition == item.partition, r.start >= item.start)
    )
    connection.execute(_row(item.source, item.partition).values(hint=None))


def _row(source: str, partition: str) -> sa.Update:
    p = partition_table.c
    return partition_table.update().where(p.source == source, p.partition == partition)


def _one(result: sa.CursorResult[tuple[()]], partition: str) -> None:
    if result.rowcount != 1:
        raise StorageError(
            f"The catalogue knows no partition {partition!r}.",
            cure="Run `liucun audit coverage`; the catalogue may come from an older backup.",
        )


def _ranges(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[PlannedRange]:
    r = range_table.c
    rows = connection.execute(
        sa.select(r.source, r.partition, r.start, r.end, r.digest, r.first, r.last)
        .where(condition)
        .order_by(r.source, r.partition, r.start)
    )
    return [PlannedRange(*row) for row in rows]
