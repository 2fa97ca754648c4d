"""What the catalogue knows of a Kafka source: its partitions, their cursors, where they began and what was lost.

A partition is ``TOPIC/NUMBER#GENERATION``; offsets are the topic's own. A topic that was deleted and made anew is a new
generation, recognised by the topic's id. Nothing is planned ahead: an offset's message never changes, and the cursor's
compare-and-swap alone decides what is committed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa

from pipelines.batches import RawBatch
from retention.catalogue import events, progress
from retention.catalogue.commit import BatchCommit, commit_within
from retention.catalogue.engine import Catalogue
from retention.catalogue.retrying import retried
from retention.catalogue.tables import partitions as partition_table

ACTOR = "system:kafka"
LOST = "source.lost"
RANGES = 20
"""Ranges without a message that an event names, of a batch; it counts all."""


@dataclass(frozen=True, slots=True)
class TopicPartition:
    """One partition of a topic as the brokers show it; ``topic_id`` is None where they tell none."""

    topic: str
    number: int
    topic_id: str | None = None

    @property
    def path(self) -> str:
        """Its name without a generation."""
        return f"{self.topic}/{self.number}"


@dataclass(frozen=True, slots=True)
class Position:
    """Where to read: the catalogue's partition, and its cursor (the next offset to be archived)."""

    place: TopicPartition
    partition: str
    cursor: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Messages that the brokers gave up before they were archived. ``end`` is None where nobody knows how many."""

    partition: str
    start: int
    end: int | None
    reason: str

    def __str__(self) -> str:
        if self.end is None:
            return f"what lay past offset {self.start} was never archived, if there was anything: {self.reason}"
        return f"offsets {self.start} to {self.end} were never archived: {self.reason}"


class Ledger:
    """The catalogue's side of one Kafka source."""

    def __init__(self, source: str, catalogue: Catalogue) -> None:
        self.source = source
        self._catalogue = catalogue

    def cursor(self, partition: str) -> int:
        """The next offset of a known partition to be archived."""
        p = partition_table.c
        with self._catalogue.read() as connection:
            row = connection.execute(sa.select(p.cursor).where(p.source == self.source, p.partition == partition))
            return int(row.scalar_one())

    def take_up(self, place: TopicPartition, low: int, high: int) -> tuple[Position, Loss | None]:
        """The position of a partition with these watermarks, entered into the catalogue if it is new.

        What a new partition has lost before it was ever seen is its beginning, not a loss; a topic of another id, or
        one that ends before the cursor, is another topic: the old one's rest is a loss if it was seen to have one.
        """
        newest = self._newest(place.path)
        loss = None
        if newest is not None:
            known_id, seen = _hint(newest.hint)
            same = _same(known_id, place)
            if same and newest.cursor <= high:
                self.seen(newest.partition, place.topic_id or known_id, high)
                return Position(place, newest.partition, newest.cursor), None
            why = "the topic now ends before the cursor" if same else "the topic was deleted and made anew"
            loss = self._replaced(newest, seen, why)
        generation = 1 if newest is None else newest.generation + 1
        return self._enter(place, generation, low, high), loss

    def overtaken(self, position: Position, low: int) -> Loss | None:
        """Move the cursor to ``low``, the oldest offset left, and put on record what was lost; None if it has moved."""
        loss = Loss(position.partition, position.cursor, low, "the topic's retention overtook the cursor")
        p = partition_table.c

        def move() -> Loss | None:
            with self._catalogue.write() as connection:
                moved = connection.execute(
                    partition_table.update()
                    .where(p.source == self.source, p.partition == position.partition, p.cursor == position.cursor)
                    .values(cursor=low)
                )
                if moved.rowcount != 1:
                    return None
                self._lost(connection, loss)
                return loss

        return retried(self._catalogue, move)

    def seen(self, partition: str, topic_id: str | None, high: int) -> None:
        """Remember a topic's id and how far the partition was seen to reach."""

        def remember() -> None:
            with self._catalogue.write() as connection:
                progress.hint_partition(connection, self.source, partition, _written(topic_id, high))

        # Lanes look again while others commit to the same partitions.
        retried(self._catalogue, remember)

    def _newest(self, path: str) -> progress.Partition | None:
        with self._catalogue.read() as connection:
            found = [item for item in progress.partitions(connection, self.source) if item.path == path]
        return max(found, key=lambda item: item.generation, default=None)

    def _enter(self, place: TopicPartition, generation: int, low: int, high: int) -> Position:
        """Enter it in one transaction: nobody sees a partition before its beginning is on record."""
        partition = f"{place.path}#{generation}"

        def attempt() -> None:
            with self._catalogue.write() as connection:
                p = partition_table.c
                known = connection.execute(
                    sa.select(p.cursor).where(p.source == self.source, p.partition == partition)
                ).one_or_none()
                if known is not None:  # another collector entered it meanwhile
                    return
                progress.add_partition(
                    connection, source=self.source, partition=partition, path=place.path, generation=generation
                )
                progress.hint_partition(connection, self.source, partition, _written(place.topic_id, high))
                if low:
                    self._begin(connection, partition, low)

        retried(self._catalogue, attempt)
        return Position(place, partition, self.cursor(partition))

    def _begin(self, connection: sa.Connection, partition: str, low: int) -> None:
        """A batch without records up to the first offset there is: the archive's account starts there."""
        commit_within(
            connection, BatchCommit(self.source, partition, 0, low, records=0, headers=0, blanks=0, segments=())
        )
        events.append(
            connection,
            kind=events.BEGINS,
            actor=ACTOR,
            subject=f"partition:{partition}",
            body={"source": self.source, "start": low},
        )

    def _replaced(self, old: progress.Partition, seen: int, why: str) -> Loss | None:
        p = partition_table.c
        end = seen if seen > old.cursor else None
        loss = Loss(old.partition, old.cursor, end, why)

        def finish() -> Loss | None:
            with self._catalogue.write() as connection:
                finished = connection.execute(
                    partition_table.update()
                    .where(p.source == self.source, p.partition == old.partition, p.finished.is_(False))
                    .values(finished=True)
                )
                if finished.rowcount != 1:
                    return None
                self._lost(connection, loss)
                return loss

        return retried(self._catalogue, finish)

    def _lost(self, connection: sa.Connection, loss: Loss) -> None:
        events.append(
            connection,
            kind=LOST,
            actor=ACTOR,
            subject=f"partition:{loss.partition}",
            body={"source": self.source, "start": loss.start, "end": loss.end, "reason": loss.reason},
        )


def waiting(newest: progress.Partition | None, place: TopicPartition, low: int, high: int) -> int:
    """Offsets that wait in a partition with these watermarks, by what the catalogue knows of it last (None: nothing).

    At least 1 where the cursor stands at what is gone (retention, a topic made anew): whoever takes the partition up
    has that to put on record before it can count as read.
    """
    if newest is None:
        return high - low
    if not _same(_hint(newest.hint)[0], place) or not low <= newest.cursor <= high:
        return max(high - low, 1)
    return high - newest.cursor


def record_holes(connection: sa.Connection, batch: RawBatch) -> None:
    """Put on record that a committed range has offsets without a message (compaction, transactions' markers)."""
    if batch.messages is None:
        return
    place = batch.place
    if holes := batch.messages.holes(place.start, place.end):
        events.append(
            connection,
            kind=events.HOLES,
            actor=ACTOR,
            subject=f"partition:{place.partition}",
            body={
                "source": place.source,
                "start": place.start,
                "end": place.end,
                "offsets": holes,
                "ranges": batch.messages.hole_ranges(place.start, place.end, RANGES),
            },
        )


def _same(known_id: str | None, place: TopicPartition) -> bool:
    """Whether it may be the topic that is known; without ids nobody can tell."""
    return known_id is None or place.topic_id is None or known_id == place.topic_id


def _written(topic_id: str | None, high: int) -> str:
    return json.dumps({"topic_id": topic_id, "high": high}, sort_keys=True)


def _hint(text: str | None) -> tuple[str | None, int]:
    if not text:
        return None, 0
    found = json.loads(text)
    return found.get("topic_id"), int(found.get("high", 0))
