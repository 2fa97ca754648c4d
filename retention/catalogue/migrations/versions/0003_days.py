"""What each segment holds of each source's days, and of which types of content: coverage calendars and time gaps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add both tables; segments that are there are counted when they are next looked at."""
    op.create_table(
        "segment_days",
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("source", sa.String(128), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("hours", sa.Integer, nullable=False),
    )
    op.create_index("segment_days_by_day", "segment_days", ["day"])
    op.create_table(
        "segment_content_types",
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("content_type", sa.String(64), primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
    )
