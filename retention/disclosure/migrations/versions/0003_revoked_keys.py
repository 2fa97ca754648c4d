"""A key to a disclosure can be taken back alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add who took a key back, and when."""
    with op.batch_alter_table("disclosure_keys") as table:
        table.add_column(sa.Column("revoked_by", sa.String(128)))
        table.add_column(sa.Column("revoked_at", sa.String(32)))
