"""Keys by which an approved disclosure is served to its authority."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "disclosure_keys",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("disclosure_id", sa.String(32), sa.ForeignKey("disclosures.disclosure_id"), nullable=False),
        sa.Column("issued_by", sa.String(128), nullable=False),
        sa.Column("issued_at", sa.String(32), nullable=False),
    )
