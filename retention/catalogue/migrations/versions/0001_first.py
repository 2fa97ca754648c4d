"""First tables: cursors, planned ranges, committed batches, segments, events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    name, place, moment, size = sa.String(128), sa.Text, sa.String(32), sa.BigInteger
    op.create_table(
        "meta", sa.Column("key", sa.String(64), primary_key=True), sa.Column("value", place, nullable=False)
    )
    op.create_table(
        "partitions",
        sa.Column("source", name, primary_key=True),
        sa.Column("partition", place, primary_key=True),
        sa.Column("path", place, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("cursor", size, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False),
        sa.Column("opened_at", moment, nullable=False),
        sa.Column("hint", place),
    )
    op.create_table(
        "ranges",
        sa.Column("source", name, primary_key=True),
        sa.Column("partition", place, primary_key=True),
        sa.Column("start", size, primary_key=True),
        sa.Column("end", size, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("first", sa.Boolean, nullable=False),
        sa.Column("last", sa.Boolean, nullable=False),
        sa.Column("planned_at", moment, nullable=False),
    )
    op.create_table(
        "batches",
        sa.Column("source", name, primary_key=True),
        sa.Column("partition", place, primary_key=True),
        sa.Column("start", size, primary_key=True),
        sa.Column("end", size, nullable=False),
        sa.Column("records", size, nullable=False),
        sa.Column("headers", size, nullable=False),
        sa.Column("blanks", size, nullable=False),
        sa.Column("committed_at", moment, nullable=False),
    )
    op.create_table(
        "segments",
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("object_name", place, nullable=False, unique=True),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("rows", size, nullable=False),
        sa.Column("bytes_stored", size, nullable=False),
        sa.Column("event_time_min", moment),
        sa.Column("event_time_max", moment),
        sa.Column("manifest", sa.LargeBinary, nullable=False),
        sa.Column("committed_at", moment, nullable=False),
    )
    op.create_index("segments_by_class", "segments", ["record_class", "period"])
    op.create_table(
        "segment_places",
        sa.Column("segment_id", sa.String(64), sa.ForeignKey("segments.segment_id"), primary_key=True),
        sa.Column("source", name, primary_key=True),
        sa.Column("partition", place, primary_key=True),
        sa.Column("start", size, primary_key=True),
        sa.Column("end", size, nullable=False),
        sa.Column("rows", size, nullable=False),
    )
    op.create_index("segment_places_by_batch", "segment_places", ["source", "partition", "start"])
    op.create_table(
        "events",
        sa.Column("id", size().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", moment, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("actor", name, nullable=False),
        sa.Column("subject", place, nullable=False),
        sa.Column("body", place, nullable=False),
    )
    op.create_index("events_by_subject", "events", ["subject", "id"])
    op.create_index("events_by_kind", "events", ["kind", "id"])
