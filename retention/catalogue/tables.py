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

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("source", sa.String(128), primary_key=True),
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("cursor", sa.BigInteger, nullable=False),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("narrowed", sa.Boolean, nullable=False),
    sa.Column("since", sa.String(32), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
)
"""Batches that a reader began after a start and that are not committed (``retention.catalogue.attempts``)."""

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
    sa.Column("salt", sa.LargeBinary),
    sa.Column("images", sa.Text),
    sa.Column("payload", sa.LargeBinary),
    sa.Index("events_by_subject", "subject", "id"),
    sa.Index("events_by_kind", "kind", "id"),
)
"""What actors and the system did. Bodies hold no personal data and no content.

``payload`` holds the rows that the event is about, as they stood at the end of its transaction, until the log has
taken them over; then ``images`` keeps their salted digests, and ``salt`` what the log's entry was salted with.
"""

log_pending = sa.Table(
    "log_pending",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("ref", sa.String(64), nullable=False),
)
"""Committed segments and events that the log has not numbered yet (``type`` segment or event, ``ref`` its id)."""

log_leaves = sa.Table(
    "log_leaves",
    metadata,
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("ref", sa.String(64), nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("type", "ref"),
)
"""Leaf hashes of the transparency log, numbered from 0."""

log_nodes = sa.Table(
    "log_nodes",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
"""Roots of the complete subtrees from level 1 on."""

log_entries = sa.Table(
    "log_entries",
    metadata,
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("object_name", sa.Text, nullable=False, unique=True),
)
"""Which object holds the entries [start, end) of the log."""

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("object_name", sa.Text),
)
"""Signed states of the log; ``object_name`` is None until the note is stored as an object."""

image_shapes = sa.Table(
    "image_shapes",
    metadata,
    sa.Column("shape", sa.String(16), primary_key=True),
    sa.Column("columns", sa.Text, nullable=False),
)
"""The columns that a row's image was taken of: tables grow, old images stay checkable."""

retired_segments = sa.Table(
    "retired_segments",
    metadata,
    sa.Column("segment_id", sa.String(64), primary_key=True),
    sa.Column("object_name", sa.Text, nullable=False, unique=True),
    sa.Column("record_class", sa.String(32), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes_stored", sa.BigInteger, nullable=False),
    sa.Column("manifest", sa.LargeBinary, nullable=False),
    sa.Column("committed_at", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("successor", sa.String(64)),
    sa.Column("retired_at", sa.String(32), nullable=False),
    sa.Column("object_deleted_at", sa.String(32)),
)
"""Segments that are no more: ``state`` is ``replaced`` (``successor`` holds the rows) or ``destroyed``."""

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("object_name", sa.String(512), primary_key=True),
    sa.Column("seen_at", sa.String(32), nullable=False),
    sa.Column("condemned_at", sa.String(32)),
    sa.Column("deleted_at", sa.String(32)),
)
"""Objects that nothing names. Once condemned, no commit may name them any more."""

segment_days = sa.Table(
    "segment_days",
    metadata,
    sa.Column("segment_id", sa.String(64), primary_key=True),
    sa.Column("source", sa.String(128), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("hours", sa.Integer, nullable=False),
    sa.Index("segment_days_by_day", "day"),
)
"""Rows of a segment by source and Shanghai day of their event time (by ingest without one); bit h of ``hours`` says
that the hour h has any. Derived from the segments; a destroyed segment's counts stay, so that calendars show it."""

segment_content_types = sa.Table(
    "segment_content_types",
    metadata,
    sa.Column("segment_id", sa.String(64), primary_key=True),
    sa.Column("content_type", sa.String(64), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
)
"""Rows of a segment of published content by type, in the words of ``retention.audits.kinds``."""

turns = sa.Table("turns", metadata, sa.Column("turn", sa.Integer, primary_key=True))
"""Never holds a row: commits lock it (``retention.catalogue.turns``)."""


def timestamp(moment: datetime | None = None) -> str:
    """A moment (default: now) as the catalogue writes it, e.g. ``2026-11-23T08:00:00.000000Z``."""
    moment = moment or datetime.now(UTC)
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
