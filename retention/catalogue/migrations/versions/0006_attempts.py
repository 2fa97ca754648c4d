"""A table of the batches that readers began and have not committed: what kills a worker is found by it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table; it is empty while all goes well."""
    op.create_table(
        "attempts",
        sa.Column("source", sa.String(128), primary_key=True),
        sa.Column("partition", sa.Text, primary_key=True),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("narrowed", sa.Boolean, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )
