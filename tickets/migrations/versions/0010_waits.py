"""Indexes of what few tickets wait for: the police, a second person, the decision of an appeal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make them."""
    for name, column, there in (
        ("tickets_by_police", "police_due_at", "police_due_at IS NOT NULL AND police_reported_at IS NULL"),
        ("tickets_by_pending", "pending", "pending IS NOT NULL"),
        ("tickets_by_appeal", "appealed_at", "appealed_at IS NOT NULL"),
    ):
        op.create_index(name, "tickets", [column], sqlite_where=sa.text(there), postgresql_where=sa.text(there))
