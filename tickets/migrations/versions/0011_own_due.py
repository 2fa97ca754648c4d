"""An index of orders' own deadlines, which few tickets have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make it."""
    there = sa.text("own_due_at IS NOT NULL")
    op.create_index("tickets_by_own_due", "tickets", ["own_due_at"], sqlite_where=there, postgresql_where=there)
