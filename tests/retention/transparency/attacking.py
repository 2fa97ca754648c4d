"""What the attacker does by hand: the log rewritten to fit, manifests entered as if they had been committed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.tables import (
    checkpoints,
    log_entries,
    log_leaves,
    log_nodes,
    log_pending,
    segment_places,
    segments,
)
from retention.catalogue.tables import events as event_table
from retention.manifest import SegmentManifest
from retention.transparency.sequencer import sequence
from tests.retention.transparency.conftest import Logged

HISTORY = {"log_forked", "log_rolled_back"}
THOROUGH = pytest.mark.parametrize("thorough", [False, True], ids=["data only", "log rewritten and signed anew"])


def rewrite_history(logged: Logged) -> None:
    """Make a new log, with the real keys, that fits what the catalogue says now."""
    with logged.store.catalogue.write() as connection:
        for table in (log_leaves, log_nodes, log_entries, checkpoints, log_pending):
            connection.execute(table.delete())
        for name in [*logged.store.objects.list("log/")]:
            logged.store.objects.delete(name)
        ids = connection.execute(sa.select(segments.c.segment_id).order_by(segments.c.committed_at)).scalars()
        events.queue(connection, events.SEGMENT, list(ids))
        numbers = connection.execute(sa.select(event_table.c.id).order_by(event_table.c.id)).scalars()
        events.queue(connection, events.EVENT, [str(number) for number in numbers])
    sequence(logged.log)


def manifests(logged: Logged) -> list[SegmentManifest]:
    """All manifests in order of their places."""
    with logged.store.catalogue.read() as connection:
        found = connection.execute(sa.select(segments.c.manifest)).scalars().all()
    return sorted((SegmentManifest.from_bytes(data) for data in found), key=lambda m: m.places[0].start)


def enter(connection: sa.Connection, manifest: SegmentManifest) -> None:
    """Enter a forged segment without a word to the log."""
    connection.execute(
        segments.insert().values(
            segment_id=manifest.segment_id,
            object_name=manifest.object_name,
            record_class=manifest.record_class,
            period=manifest.period,
            rows=manifest.rows,
            bytes_stored=manifest.bytes_stored,
            event_time_min=manifest.event_time_min,
            event_time_max=manifest.event_time_max,
            manifest=manifest.to_bytes(),
            committed_at="2026-03-01T00:00:00.000000Z",
        )
    )
    place = manifest.places[0]
    connection.execute(
        segment_places.insert().values(
            segment_id=manifest.segment_id,
            source=place.source,
            partition=place.partition,
            start=place.start,
            end=place.end,
            rows=place.rows,
        )
    )
