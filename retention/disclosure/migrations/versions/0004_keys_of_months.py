"""Cases and documents lie under a key a month; whom a disclosure is about is known under a keyed hash, for holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("disclosures", sa.Column("text_key", sa.String(64)))
    op.add_column("disclosures", sa.Column("texts_gone", sa.String(32)))
    op.create_table(
        "disclosure_accounts",
        sa.Column("disclosure_id", sa.String(32), sa.ForeignKey("disclosures.disclosure_id"), primary_key=True),
        sa.Column("account_blind", sa.String(64), primary_key=True),
    )
