"""Keys made by collectors that cannot unwrap are told apart: nothing else is sealed under them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("period_keys", sa.Column("collector", sa.Boolean, nullable=False, server_default=sa.false()))
