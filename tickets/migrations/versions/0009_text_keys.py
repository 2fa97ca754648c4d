"""Texts kept with tickets lie under a key a month: which one, and which purge destroyed them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns, and the index by which a key's tickets are counted."""
    op.add_column("tickets", sa.Column("text_key", sa.String(64)))
    op.add_column("tickets", sa.Column("texts_gone", sa.String(32)))
    op.create_index("tickets_by_text_key", "tickets", ["text_key", "texts_gone"])
