"""Holds note whom or which ticket they mean, so that what is kept with tickets can be judged without keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; ``examine`` fills it in holds that are there."""
    op.add_column("holds", sa.Column("target", sa.String(64)))
