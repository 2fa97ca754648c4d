"""Listings of articles are judged one by one, not as what a month has in common: transactions are read anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table. Until each segment of transactions was read once more, nothing of the class goes."""
    op.create_table(
        "retention_articles",
        sa.Column("blind", sa.LargeBinary(16), primary_key=True),
        sa.Column("listed_on", sa.String(10)),
        sa.Column("ended_at", sa.String(32)),
        sa.Column("ended_on", sa.String(10)),
        sa.Column("open_at", sa.String(32)),
        sa.Column("sold_from", sa.String(10)),
        sa.Column("sold_until", sa.String(10)),
        sqlite_with_rowid=False,
    )
    mine = "(SELECT unit_id FROM retention_units WHERE record_class = 'transaction')"
    numbers = f"(SELECT number FROM unit_segments WHERE unit_id IN {mine})"  # noqa: S608 - two constants
    op.execute(f"DELETE FROM segment_subjects WHERE number IN {numbers}")  # noqa: S608
    op.execute(f"DELETE FROM unit_segments WHERE unit_id IN {mine}")  # noqa: S608
