"""Tables of the catalogue.

Times are UTC ISO 8601 strings with microseconds, so that both databases order them alike.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

partitions = sa.Table(
    "partitions",
    metadata,
    sa.Column("source", sa.String(128), primary_key=True),
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("cursor", sa.BigInteger, nullable=False),
    sa.Column("finished", sa.Boolean, nullable=False),
    sa.Column("opened_at", sa.String(32), nullable=False),
    sa.Column("hint", sa.Text),
)
"""One row a partition; all before ``cursor`` is in the archive. ``hint`` is the source's own, to save reading."""

ranges = sa.Table(
    "ranges",
    metadata,
    sa.Column("source", sa.String(128), primary_key=True),
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("first", sa.Boolean, nullable=False),
    sa.Column("last", sa.Boolean, nullable=False),
    sa.Column("planned_at", sa.String(32), nullable=False),
)
"""Offset ranges as planned: contiguous in a partition, never changed once written."""

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("source", sa.String(128), primary_key=True),
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("headers", sa.BigInteger, nullable=False),
    sa.Column("blanks", sa.BigInteger, nullable=False),
    sa.Column("committed_at", sa.String(32), nullable=False),
)
"""Committed ranges: how many framed records they held (= rows archived), and what was no record."""

segments = sa.Table(
    "segments",
    metadata,
    sa.Column("segment_id", sa.String(64), primary_key=True),
    sa.Column("object_name", sa.Text, nullable=False, unique=True),
    sa.Column("record_class", sa.String(32), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes_stored", sa.BigInteger, nullable=False),
    sa.Column("event_time_min", sa.String(32)),
    sa.Column("event_time_max", sa.String(32)),
    sa.Column("manifest", sa.LargeBinary, nullable=False),
    sa.Column("committed_at", sa.String(32), nullable=False),
    sa.Index("segments_by_class", "record_class", "period"),
)

segment_places = sa.Table(
    "segment_places",
    metadata,
    sa.Column("segment_id", sa.String(64), sa.ForeignKey("segments.segment_id"), primary_key=True),
    sa.Column("source", sa.String(128), primary_key=True),
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Index("segment_places_by_batch", "source", "partition", "start"),
)
"""Which rows of which committed range a segment holds."""

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("events_by_subject", "subject", "id"),
    sa.Index("events_by_kind", "kind", "id"),
)
"""What actors and the system did. Bodies hold no personal data and no content."""


def timestamp(moment: datetime | None = None) -> str:
    """A moment (default: now) as the catalogue writes it, e.g. ``2026-11-23T08:00:00.000000Z``."""
    moment = moment or datetime.now(UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
