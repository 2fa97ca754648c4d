"""Random samples of what the detectors passed, for human review."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "sample_days",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("drawn_at", sa.String(32), nullable=False),
        sa.Column("drawn_by", sa.String(128), nullable=False),
        sa.Column("method", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("frame", sa.Text(), nullable=False),
        sa.Column("passed", sa.BigInteger(), nullable=False),
        sa.Column("flagged", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "sample_strata",
        sa.Column("day", sa.String(10), sa.ForeignKey("sample_days.day"), primary_key=True),
        sa.Column("content_type", sa.String(64), primary_key=True),
        sa.Column("passed", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "samples",
        sa.Column("sample_id", sa.String(32), primary_key=True),
        sa.Column("day", sa.String(10), sa.ForeignKey("sample_days.day"), nullable=False),
        sa.Column("rank", sa.String(16), nullable=False),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("content_type", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("category", sa.String(32)),
        sa.Column("judged_by", sa.String(128)),
        sa.Column("judged_at", sa.String(32)),
        sa.Column("ticket_id", sa.String(32)),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("samples_by_state", "samples", ["state", "day", "rank"])
    op.create_index("samples_by_day", "samples", ["day", "rank"])
    op.create_index("samples_by_place", "samples", ["source", "partition", "offset"])
