"""Sketches say of which version they are; older ones are made anew by the worker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column."""
    op.add_column("ticket_sketches", sa.Column("version", sa.SmallInteger(), nullable=False, server_default="1"))
