"""What reports say and messages lie under a key a month, as tickets' texts do; messages name their tickets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns and the table."""
    for table in ("reports", "outbox"):
        op.add_column(table, sa.Column("text_key", sa.String(64)))
        op.add_column(table, sa.Column("texts_gone", sa.String(32)))
    op.create_index("outbox_by_text_key", "outbox", ["text_key", "state"])
    op.create_table(
        "outbox_tickets",
        sa.Column("message", sa.BigInteger(), sa.ForeignKey("outbox.id"), primary_key=True, autoincrement=False),
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    )
