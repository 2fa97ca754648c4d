"""The coverage calendar's counts belong to the archive now (``segment_days``); they are counted anew."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Drop the console's own table."""
    op.drop_table("console_segment_days")
