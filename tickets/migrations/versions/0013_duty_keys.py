"""Titles and evidence of duties lie under a key a month."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("duties", sa.Column("text_key", sa.String(64)))
    op.add_column("duties", sa.Column("texts_gone", sa.String(32)))
