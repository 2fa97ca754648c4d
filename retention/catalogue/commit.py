"""The one transaction of a batch: segments, cursor, counts and whatever the caller adds to it.

The cursor moves by compare-and-swap, so exactly-once rests on the database alone: a
batch may be run twice, by two machines at once, or after a crash.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa

from errors import BusyError, StorageError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.key_use import RETIRED_PREFIX
from retention.catalogue.naming import take_names
from retention.catalogue.retrying import retried
from retention.catalogue.sets import insert_rows
from retention.catalogue.tables import (
    batches,
    meta,
    partitions,
    ranges,
    segment_places,
    segments,
    timestamp,
)
from retention.catalogue.turns import take_turn
from retention.manifest import SegmentManifest


class Outcome(StrEnum):
    """What became of a batch."""

    COMMITTED = "committed"
    DUPLICATE = "duplicate"
    """It ended at or before the cursor: all of it was there."""
    STRADDLES = "straddles"
    """It begins before the cursor and ends past it: only the tail may be committed, as a batch of its own."""


class BatchGapError(BusyError):
    """A batch starts past the cursor: what lies between has not been committed yet. Worth a later try."""


class KeyRetiredError(BusyError):
    """A segment was sealed under a period key that is being destroyed. Worth a retry, under the month's next key."""


class BatchCountError(StorageError):
    """A batch's segments do not hold as many rows as it had records."""


@dataclass(frozen=True, slots=True)
class BatchCommit:
    """A batch whose segments are written: the range [start, end), and what it held."""

    source: str
    partition: str
    start: int
    end: int
    records: int
    headers: int
    blanks: int
    segments: tuple[SegmentManifest, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """The outcome, and the cursor as it was found (bytes or offsets)."""

    outcome: Outcome
    cursor: int


T = TypeVar("T")


def commit_batch(
    catalogue: Catalogue, batch: BatchCommit, *, inside: Callable[[sa.Connection], T] | None = None
) -> tuple[Commit, T | None]:
    """Commit a batch in one transaction; ``inside`` adds to it (tickets) and its result is handed back.

    Nothing is written unless the outcome is COMMITTED. When the database prefers another writer, or is
    restarted meanwhile, all of it is done again, ``inside`` too; a first try that had been committed
    after all is found by its segments.

    Raises:
        BatchGapError: the cursor has not reached the batch's start.
        BatchCountError: the segments' rows do not add up to the batch's records.
        BusyError, UnreachableError: other writers were in the way or the server away for a minute.
        StorageError: the partition is unknown, or the database cannot be written.
    """
    _check_counts(batch)
    # Kept over the tries: the one whose answer was lost ran `inside`, the one that finds it committed does not.
    added: list[T | None] = [None]
    tries = itertools.count()

    def attempt() -> Commit:
        with catalogue.write() as connection:
            take_turn(connection, alone=next(tries) > 0)
            commit, result = commit_within(connection, batch, inside=inside)
            if result is not None:
                added[0] = result
            return commit

    commit = retried(catalogue, attempt)
    return commit, added[0] if commit.outcome is Outcome.COMMITTED else None


def commit_within(
    connection: sa.Connection, batch: BatchCommit, *, inside: Callable[[sa.Connection], T] | None = None
) -> tuple[Commit, T | None]:
    """The same inside a transaction that the caller has begun, and begins anew when it fails (`retried`)."""
    _check_counts(batch)
    found = _partition(connection, batch)
    cursor = int(found.cursor)
    if batch.end <= cursor:
        return Commit(Outcome.COMMITTED if _is_ours(connection, batch) else Outcome.DUPLICATE, cursor), None
    if batch.start < cursor:
        return Commit(Outcome.STRADDLES, cursor), None
    if batch.start > cursor:
        raise BatchGapError(
            f"Partition {batch.partition!r} has come to offset {cursor}; the batch begins at {batch.start}.",
            cure="It is tried again once what lies between is committed; run `liucun audit coverage` if it stays.",
        )
    moment = datetime.now(UTC)
    now = timestamp(moment)
    _move_cursor(connection, batch, cursor)
    connection.execute(
        batches.insert().values(
            source=batch.source,
            partition=batch.partition,
            start=batch.start,
            end=batch.end,
            records=batch.records,
            headers=batch.headers,
            blanks=batch.blanks,
            committed_at=now,
        )
    )
    add_segments(connection, batch.segments, now)
    _record(connection, batch, found, moment)
    return Commit(Outcome.COMMITTED, cursor), inside(connection) if inside else None


def _is_ours(connection: sa.Connection, batch: BatchCommit) -> bool:
    """Whether the batch was committed with these very segments: a first try whose answer was lost."""
    names = [m.object_name for m in batch.segments]
    if not names:
        return False
    return bool(
        connection.execute(
            sa.select(sa.func.count()).where(segments.c.object_name.in_(names)).select_from(segments)
        ).scalar_one()
    )


def add_segments(connection: sa.Connection, manifests: tuple[SegmentManifest, ...], now: str) -> None:
    """Enter segments and their places into the catalogue, and queue them for the log.

    Raises:
        TombstoneError: a segment's object was condemned by the collection of orphans.
        KeyRetiredError: a purge is destroying the key that a segment was sealed with.
    """
    if not manifests:
        return
    retired = connection.execute(
        sa.select(meta.c.key).where(meta.c.key.in_([f"{RETIRED_PREFIX}{m.key_id}" for m in manifests])).limit(1)
    ).scalar_one_or_none()
    if retired is not None:
        raise KeyRetiredError(
            f"The period key {retired.removeprefix(RETIRED_PREFIX)} is being destroyed.",
            cure="Nothing was committed; carry the purge to its end (`liucun purge`), then the batch is tried again.",
        )
    take_names(connection, [m.object_name for m in manifests])
    connection.execute(
        segments.insert(),
        [
            {
                "segment_id": m.segment_id,
                "object_name": m.object_name,
                "record_class": m.record_class,
                "period": m.period,
                "rows": m.rows,
                "bytes_stored": m.bytes_stored,
                "event_time_min": m.event_time_min,
                "event_time_max": m.event_time_max,
                "manifest": m.to_bytes(),
                "committed_at": now,
            }
            for m in manifests
        ],
    )
    insert_rows(
        connection,
        segment_places,
        [
            {
                "segment_id": m.segment_id,
                "source": place.source,
                "partition": place.partition,
                "start": place.start,
                "end": place.end,
                "rows": place.rows,
            }
            for m in manifests
            for place in m.places
        ],
    )
    events.queue(connection, events.SEGMENT, [m.segment_id for m in manifests])


def _record(connection: sa.Connection, batch: BatchCommit, partition: Any, at: datetime) -> None:
    """The batch's event: with the manifests, all that it takes to rebuild cursors, batches and ranges."""
    r = ranges.c
    # Of a range that is committed in parts the last one names it.
    planned = connection.execute(
        sa.select(r.digest, r.first, r.last, r.start, r.end)
        .where(r.source == batch.source, r.partition == batch.partition, r.start <= batch.start)
        .order_by(r.start.desc())
        .limit(1)
    ).one_or_none()
    if planned is not None and planned.end != batch.end:
        planned = None
    events.append(
        connection,
        kind="batch.committed",
        actor="system:seal",
        subject=f"partition:{batch.partition}",
        body={
            "source": batch.source,
            "path": partition.path,
            "generation": partition.generation,
            "start": batch.start,
            "end": batch.end,
            "records": batch.records,
            "headers": batch.headers,
            "blanks": batch.blanks,
            "range": None if planned is None else _named(planned, batch.start),
            "segments": [m.segment_id for m in batch.segments],
        },
        at=at,
    )


def _named(planned: Any, start: int) -> list[object]:
    """A range as the batch's event has it: with its own start where that is not the batch's."""
    said = [planned.digest, planned.first, planned.last]
    return said if planned.start == start else [*said, planned.start]


def _check_counts(batch: BatchCommit) -> None:
    held = sum(
        place.rows
        for manifest in batch.segments
        for place in manifest.places
        if (place.source, place.partition, place.start, place.end)
        == (batch.source, batch.partition, batch.start, batch.end)
    )
    if held != batch.records or held != sum(manifest.rows for manifest in batch.segments):
        raise BatchCountError(
            f"The batch {batch.partition!r} [{batch.start}, {batch.end}) has {batch.records} records, "
            f"its segments hold {held}.",
            cure="Nothing was committed. This is a fault of the program: keep the source and report it.",
        )


def _partition(connection: sa.Connection, batch: BatchCommit) -> Any:
    c = partitions.c
    found = connection.execute(
        sa.select(c.cursor, c.path, c.generation)
        .where(c.source == batch.source, c.partition == batch.partition)
        .with_for_update()
    ).one_or_none()
    if found is None:
        raise StorageError(
            f"The catalogue knows no partition {batch.partition!r} of source {batch.source!r}.",
            cure="The catalogue may come from an older backup: run `liucun audit coverage`.",
        )
    return found


def _move_cursor(connection: sa.Connection, batch: BatchCommit, cursor: int) -> None:
    c = partitions.c
    moved = connection.execute(
        partitions.update()
        .where(c.source == batch.source, c.partition == batch.partition, c.cursor == cursor)
        .values(cursor=batch.end)
    )
    if moved.rowcount != 1:
        raise BusyError(
            f"Another collector moved the cursor of {batch.partition!r} in the same moment.",
            cure="Nothing was committed; the batch is tried again.",
        )
