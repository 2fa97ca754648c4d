"""First tables: tickets, their findings and notes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "tickets",
        sa.Column("ticket_id", sa.String(32), primary_key=True),
        sa.Column("content_key", sa.String(64), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("linked_to", sa.String(32)),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("content_id", sa.Text()),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("account_blind", sa.String(64)),
        sa.Column("text_blind", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("decision", sa.String(16)),
        sa.Column("assignee", sa.String(128)),
        sa.Column("assigned_at", sa.String(32)),
        sa.Column("event_time", sa.String(32), nullable=False),
        sa.Column("detected_at", sa.String(32), nullable=False),
        sa.Column("triaged_by", sa.String(128)),
        sa.Column("triaged_at", sa.String(32)),
        sa.Column("ordered_at", sa.String(32)),
        sa.Column("effective_at", sa.String(32)),
        sa.Column("measure", sa.String(32)),
        sa.Column("due_on", sa.String(10)),
        sa.Column("due_provisional", sa.Boolean(), nullable=False),
        sa.Column("calendar_version", sa.String(64)),
        sa.Column("reported_at", sa.String(32)),
        sa.Column("receipt", sa.Text()),
        sa.Column("acknowledged_at", sa.String(32)),
        sa.Column("closed_at", sa.String(32)),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.UniqueConstraint("content_key", "sequence"),
    )
    op.create_index("tickets_by_account", "tickets", ["account_blind"])
    op.create_index("tickets_by_category", "tickets", ["category", "state", "detected_at"])
    op.create_index("tickets_by_due", "tickets", ["due_on"])
    op.create_index("tickets_by_state", "tickets", ["state", "severity", "detected_at"])
    op.create_index("tickets_by_text", "tickets", ["text_blind"])
    op.create_table(
        "findings",
        sa.Column("id", number, primary_key=True),
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(128), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("subtype", sa.String(64)),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("version", sa.String(128), nullable=False),
    )
    op.create_index("findings_by_rule", "findings", ["rule"])
    op.create_index("findings_by_ticket", "findings", ["ticket_id"])
    op.create_table(
        "ticket_notes",
        sa.Column("id", number, primary_key=True),
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ticket_notes_by_ticket", "ticket_notes", ["ticket_id"])
