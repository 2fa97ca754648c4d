"""What a cluster run has done so far, read from the catalogue: workers come and go, the catalogue does not.

Unlike the embedded run's, these counts include what any other collector of the same sources committed meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from pipelines.batches import BatchResult, Place
from pipelines.sources.kafka_ledger import LOST, Loss
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import batches, events, segment_places, segments, timestamp
from tickets.tables import findings, tickets


def committed_since(catalogue: Catalogue, sources: Collection[str], since: datetime) -> BatchResult:
    """The sum of what was committed of these sources since a moment, as one result.

    Bytes taken in are not in the catalogue for sources that count messages, and neither are the reasons of unparsed
    records: both are left out.
    """
    began = timestamp(since)
    with catalogue.read() as connection:
        counted = connection.execute(
            sa.select(
                sa.func.coalesce(sa.func.sum(batches.c.headers + batches.c.blanks), 0),
                sa.func.count(),
            ).where(batches.c.source.in_(sources), batches.c.committed_at >= began)
        ).one()
        records, stored, count = _segments(connection, sources, began)
        found, opened = _findings(connection, sources, began)
    return BatchResult(
        Place("", "", 0, 0),
        committed=bool(counted[1]),
        records=records,
        findings=found,
        skipped=int(counted[0]),
        segments=count,
        bytes_stored=stored,
        tickets_opened=opened,
    )


def last_loss(catalogue: Catalogue) -> int:
    """The number of the newest event about a loss, 0 if there is none."""
    with catalogue.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(events.c.id)).where(events.c.kind == LOST)).scalar_one()
    return int(newest or 0)


def lost_after(catalogue: Catalogue, sources: Collection[str], event: int) -> list[tuple[str, Loss]]:
    """What of these sources was put on record as lost after an event, with the source's name, in that order.

    By number: the clocks of workers are not the caller's.
    """
    e = events.c
    asked = sa.select(e.subject, e.body).where(e.kind == LOST, e.id > event).order_by(e.id)
    with catalogue.read() as connection:
        rows = [(row.subject.removeprefix("partition:"), json.loads(row.body)) for row in connection.execute(asked)]
    return [
        (body["source"], Loss(partition, body["start"], body["end"], body.get("reason", "the source no longer has it")))
        for partition, body in rows
        if body["source"] in sources
    ]


def _segments(connection: sa.Connection, sources: Collection[str], began: str) -> tuple[dict[str, int], int, int]:
    g, s = segments.c, segment_places.c
    ours = sa.select(s.segment_id).where(s.source.in_(sources)).distinct()
    rows = connection.execute(
        sa.select(g.record_class, sa.func.sum(g.rows), sa.func.sum(g.bytes_stored), sa.func.count())
        .where(g.committed_at >= began, g.segment_id.in_(ours))
        .group_by(g.record_class)
    ).all()
    return {str(row[0]): int(row[1]) for row in rows}, sum(int(r[2]) for r in rows), sum(int(r[3]) for r in rows)


def _findings(connection: sa.Connection, sources: Collection[str], began: str) -> tuple[dict[str, int], int]:
    t, f = tickets.c, findings.c
    ours = sa.and_(t.source.in_(sources), t.detected_at >= began)
    by_category = connection.execute(
        sa.select(f.category, sa.func.count())
        .select_from(findings.join(tickets, t.ticket_id == f.ticket_id))
        .where(ours)
        .group_by(f.category)
    )
    opened = connection.execute(sa.select(sa.func.count()).select_from(tickets).where(ours)).scalar_one()
    return {str(row[0]): int(row[1]) for row in by_category}, int(opened)
