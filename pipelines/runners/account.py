"""What a cluster run has done so far, read from the catalogue: workers come and go, the catalogue does not.

Unlike the embedded run's, these counts include what any other collector of the same sources committed meanwhile.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pipelines.sources.caution import condemned_record
from pipelines.sources.kafka_ledger import LOST, Loss
from pipelines.sources.problems import SourceProblem
from pipelines.summary import RunSummary
from retention.catalogue import progress
from retention.catalogue.engine import Catalogue
from retention.catalogue.events import CONDEMNED_RECORD
from retention.catalogue.tables import attempts, batches, events, segment_places, segments, timestamp
from tickets.tables import findings, tickets


class Account:
    """Counts of some sources from its making on. One thread at a time.

    A batch is counted once, when a partition's cursor has passed it: what a run did long ago is not read again, and
    segments that are merged or destroyed afterwards change nothing.
    """

    def __init__(self, catalogue: Catalogue, sources: Collection[str]) -> None:
        self._catalogue = catalogue
        self._sources = list(sources)
        self._began = datetime.now(UTC)
        self._so_far = RunSummary()
        with catalogue.read() as connection:
            self._passed = self._cursors(connection)
            newest = connection.execute(sa.select(sa.func.max(findings.c.id))).scalar_one()
            told = events.c.kind.in_((LOST, CONDEMNED_RECORD))
            event = connection.execute(sa.select(sa.func.max(events.c.id)).where(told)).scalar_one()
        self._finding, self._told = int(newest or 0), int(event or 0)

    def summary(self, started: float | None = None) -> RunSummary:
        """The counts until now; ``started`` is its ``started``, by default the account's making.

        Bytes taken in are not in the catalogue for sources that count messages, and neither are the reasons of unparsed
        records: both are left out. Segments and their bytes are those in which the records lay when they were counted.

        Raises:
            StorageError, UnreachableError: the catalogue cannot be read; nothing is counted.
        """
        before = self._so_far
        with self._catalogue.read() as connection:
            cursors = self._cursors(connection)
            fresh = RunSummary(
                started=before.started if started is None else started,
                records=Counter(before.records),
                skipped=before.skipped,
                segments=before.segments,
                bytes_stored=before.bytes_stored,
                batches=before.batches,
            )
            for place, cursor in cursors.items():
                if cursor > (passed := self._passed.get(place, 0)):
                    _add(connection, fresh, place, passed, cursor)
            self._add_findings(connection, fresh)
        self._passed, self._so_far = cursors, fresh
        return fresh

    def losses(self) -> list[tuple[str, Loss]]:
        """What was put on record as lost, with the source's name, in that order. Raises as ``summary``.

        By the events' numbers: the clocks of workers are not this process's.
        """
        return [
            (body["source"], Loss(partition, body["start"], body["end"], body.get("reason", "it is no longer there")))
            for partition, body in self._told_since(LOST)
        ]

    def condemned(self) -> list[tuple[str, SourceProblem]]:
        """What was archived unread because workers died over it, with its source's name. Raises likewise."""
        return [
            (body["source"], condemned_record(partition, body["start"], body["tries"]))
            for partition, body in self._told_since(CONDEMNED_RECORD)
        ]

    def marks(self) -> list[tuple[str, str, int, int, int]]:
        """Source, partition, range and tries of every batch that was begun and not committed. Raises as ``summary``."""
        a = attempts.c
        asked = sa.select(a.source, a.partition, a.cursor, a.end, a.tries).where(a.source.in_(self._sources))
        with self._catalogue.read() as connection:
            return [tuple(row) for row in connection.execute(asked.order_by(a.source, a.partition))]

    def _told_since(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Partitions and bodies of the events of a kind about these sources, since the account was made."""
        e = events.c
        asked = sa.select(e.subject, e.body).where(e.kind == kind, e.id > self._told).order_by(e.id)
        with self._catalogue.read() as connection:
            rows = [(row.subject.removeprefix("partition:"), json.loads(row.body)) for row in connection.execute(asked)]
        return [(partition, body) for partition, body in rows if body["source"] in self._sources]

    def _cursors(self, connection: sa.Connection) -> dict[tuple[str, str], int]:
        return {
            (source, item.partition): item.cursor
            for source in self._sources
            for item in progress.partitions(connection, source)
        }

    def _add_findings(self, connection: sa.Connection, summary: RunSummary) -> None:
        t, f = tickets.c, findings.c
        by_category = connection.execute(
            sa.select(f.category, sa.func.count())
            .select_from(findings.join(tickets, t.ticket_id == f.ticket_id))
            .where(f.id > self._finding, t.source.in_(self._sources))
            .group_by(f.category)
        )
        summary.findings = Counter({str(row[0]): int(row[1]) for row in by_category})
        opened = sa.select(sa.func.count()).where(t.source.in_(self._sources), t.detected_at >= timestamp(self._began))
        summary.tickets_opened = int(connection.execute(opened).scalar_one())


def _add(connection: sa.Connection, summary: RunSummary, place: tuple[str, str], start: int, end: int) -> None:
    """Add the batches of a partition that begin in a range of offsets."""
    b, s, g = batches.c, segment_places.c, segments.c
    counted = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(b.headers + b.blanks), 0)).where(
            b.source == place[0], b.partition == place[1], b.start >= start, b.start < end
        )
    ).one()
    summary.batches += int(counted[0])
    summary.skipped += int(counted[1])
    # Of a segment that holds other batches, too, this one's share of the bytes.
    share = sa.func.sum(g.bytes_stored * 1.0 * s.rows / g.rows)
    held = connection.execute(
        sa.select(g.record_class, sa.func.sum(s.rows), share, sa.func.count(s.segment_id.distinct()))
        .select_from(segment_places.join(segments, g.segment_id == s.segment_id))
        .where(s.source == place[0], s.partition == place[1], s.start >= start, s.start < end)
        .group_by(g.record_class)
    )
    for record_class, rows, stored, count in held:
        summary.records[str(record_class)] += int(rows)
        summary.bytes_stored += round(float(stored))
        summary.segments += int(count)


class Pace:
    """Lets something be done as often as it is asked for, unless it takes long: never more than a share of the time."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._next = 0.0

    def due(self) -> bool:
        """Whether it may be done again."""
        return time.monotonic() >= self._next

    def took(self, seconds: float) -> None:
        """Take note of how long it took."""
        self._next = time.monotonic() + seconds / self._share
