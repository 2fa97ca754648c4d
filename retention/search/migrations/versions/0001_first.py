"""How far the search index follows, and which documents stand for which segment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "search_state",
        sa.Column("generation", sa.String(16), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("events_position", sa.BigInteger, nullable=False),
        sa.Column("shape", sa.Text, nullable=False),
        sa.Column("begun_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "search_segments",
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("withheld", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("recount", sa.Boolean, nullable=False),
    )
    op.create_index("search_segments_by_state", "search_segments", ["state"])
    op.create_table(
        "search_labels",
        sa.Column("label", sa.String(64), primary_key=True),
        sa.Column("segment_id", sa.String(64), nullable=False),
        sa.Column("index_name", sa.String(255), nullable=False),
        sa.Column("key_id", sa.String(96), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
    )
    op.create_index("search_labels_by_segment", "search_labels", ["segment_id"])
    op.create_index("search_labels_by_index", "search_labels", ["index_name"])
