"""Evidence of tickets lies in the archive; its row names the place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    op.add_column("ticket_files", sa.Column("place", sa.Text()))
