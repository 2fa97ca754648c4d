"""Findings for tests of the queue, and how a batch brings them to it."""

from __future__ import annotations

from datetime import UTC, datetime

from retention.catalogue.engine import Catalogue
from tickets.bodies import Bodies
from tickets.opening import ContentFinding, Hit, OpenedCounts, open_or_extend, prepare

HIT = Hit("gambling.001", "gambling", "casino", 3, 0, 2, "赌场", 0.9, "pack-1")
CONTENT = ContentFinding(
    source="s",
    partition="/p#1",
    offset=10,
    content_id="c1",
    record_class="content",
    user_id="u1",
    field="text",
    text="赌场 free 😀",
    event_time=datetime(2026, 11, 20, tzinfo=UTC),
    findings=(HIT,),
)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def take(catalogue: Catalogue, bodies: Bodies, *contents: ContentFinding) -> OpenedCounts:
    prepared = prepare(bodies, contents, now=NOW)
    with catalogue.write() as connection:
        return open_or_extend(connection, prepared)
