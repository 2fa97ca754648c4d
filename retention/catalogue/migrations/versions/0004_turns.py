"""A table without rows that commits of batches take turns by, where many writers meet (PostgreSQL)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table; nothing is ever written to it."""
    op.create_table("turns", sa.Column("turn", sa.Integer, primary_key=True))
