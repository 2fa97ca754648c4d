"""Work on tickets: approvals, bulk steps, links, near-duplicates, dismissals, orders, outbox, reports, duties."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Widen the tickets, add the tables."""
    _widen()
    _duties()
    _outbox()
    _reports()
    _ticket_bulk_actions()
    _ticket_files()
    _ticket_warnings()
    _disposal_orders()
    _report_tickets()
    _ticket_approvals()
    _ticket_bands()
    _ticket_bulk_items()
    _ticket_dismissals()
    _ticket_links()
    _ticket_sketches()


def _widen() -> None:
    for column in (
        sa.Column("subtype", sa.String(64)),
        sa.Column("reach", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("weight", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("part", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("dispose_by", sa.String(32)),
        sa.Column("own_due_at", sa.String(32)),
        sa.Column("due_at", sa.String(32)),
        sa.Column("effect", sa.String(16)),
        sa.Column("blocked_at", sa.String(32)),
        sa.Column("police_due_at", sa.String(32)),
        sa.Column("police_reported_at", sa.String(32)),
        sa.Column("pending", sa.String(32)),
        sa.Column("merged_into", sa.String(32)),
        sa.Column("appealed_at", sa.String(32)),
        sa.Column("report_id", sa.String(32)),
        sa.Column("correction_needed", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("missed_at", sa.String(32)),
    ):
        op.add_column("tickets", column)
    op.execute(
        "UPDATE tickets SET weight = severity, part = CASE"
        " WHEN state IN ('detected', 'triage', 'confirmed') THEN 0 WHEN state = 'disposed' THEN 1 ELSE 2 END"
    )
    op.execute("UPDATE tickets SET effect = 'stated' WHERE effective_at IS NOT NULL")
    # Close of business in Shanghai, 17:00, is 09:00 UTC.
    op.execute("UPDATE tickets SET due_at = due_on || 'T09:00:00.000000Z' WHERE due_on IS NOT NULL")
    for name in ("tickets_by_state", "tickets_by_category", "tickets_by_due"):
        op.drop_index(name, "tickets")
    op.create_index("tickets_by_state", "tickets", ["state", "part", "weight", "detected_at"])
    op.create_index("tickets_by_category", "tickets", ["category", "part", "weight", "detected_at"])
    op.create_index("tickets_by_assignee", "tickets", ["assignee", "part", "weight", "detected_at"])
    op.create_index("tickets_by_due", "tickets", ["part", "due_on", "detected_at"])
    op.create_index("tickets_by_rest", "tickets", ["part", "detected_at"])
    op.create_index("tickets_by_part", "tickets", ["part", "weight", "detected_at"])
    op.create_index("tickets_by_target", "tickets", ["state", "dispose_by"])
    op.create_index("tickets_by_content", "tickets", ["content_id"])


def _duties() -> None:
    op.create_table(
        "duties",
        sa.Column("duty_id", sa.String(32), primary_key=True),
        sa.Column("clock", sa.String(32), nullable=False),
        sa.Column("title", sa.LargeBinary(), nullable=False),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("opens_at", sa.String(32)),
        sa.Column("due_at", sa.String(32), nullable=False),
        sa.Column("due_on", sa.String(10), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("completed_at", sa.String(32)),
        sa.Column("completed_by", sa.String(128)),
        sa.Column("receipt", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("duties_by_state", "duties", ["state", "due_at"])


def _outbox() -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "outbox",
        sa.Column("id", number, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("next_at", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("sent_at", sa.String(32)),
    )
    op.create_index("outbox_by_state", "outbox", ["state", "next_at"])
    op.create_index("outbox_by_subject", "outbox", ["subject"])


def _reports() -> None:
    op.create_table(
        "reports",
        sa.Column("report_id", sa.String(32), primary_key=True),
        sa.Column("recipient", sa.String(32), nullable=False),
        sa.Column("corrects", sa.String(32), sa.ForeignKey("reports.report_id")),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_at", sa.String(32)),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("approved_at", sa.String(32)),
        sa.Column("approved_by", sa.String(128)),
        sa.Column("submitted_at", sa.String(32)),
        sa.Column("submitted_by", sa.String(128)),
        sa.Column("submission", sa.Text()),
        sa.Column("receipt", sa.Text()),
        sa.Column("settled_at", sa.String(32)),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("sm3", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("reports_by_state", "reports", ["state", "due_at"])


def _ticket_bulk_actions() -> None:
    op.create_table(
        "ticket_bulk_actions",
        sa.Column("token", sa.String(32), primary_key=True),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("until", sa.String(32), nullable=False),
        sa.Column("undone_at", sa.String(32)),
    )


def _ticket_files() -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "ticket_files",
        sa.Column("id", number, primary_key=True),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("sm3", sa.String(64), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ticket_files_by_subject", "ticket_files", ["subject", "id"])


def _ticket_warnings() -> None:
    op.create_table(
        "ticket_warnings",
        sa.Column("subject", sa.String(64), primary_key=True),
        sa.Column("clock", sa.String(32), primary_key=True),
        sa.Column("step", sa.String(32), primary_key=True),
        sa.Column("at", sa.String(32), nullable=False),
    )


def _disposal_orders() -> None:
    op.create_table(
        "disposal_orders",
        sa.Column("order_id", sa.String(32), primary_key=True),
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), nullable=False),
        sa.Column("measure", sa.String(32), nullable=False),
        sa.Column("ordered_by", sa.String(128), nullable=False),
        sa.Column("ordered_at", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("acknowledged_at", sa.String(32)),
        sa.Column("effective_at", sa.String(32)),
        sa.Column("reference", sa.Text()),
        sa.Column("alarmed_at", sa.String(32)),
    )
    op.create_index("disposal_orders_by_state", "disposal_orders", ["state", "ordered_at"])
    op.create_index("disposal_orders_by_ticket", "disposal_orders", ["ticket_id"])


def _report_tickets() -> None:
    op.create_table(
        "report_tickets",
        sa.Column("report_id", sa.String(32), sa.ForeignKey("reports.report_id"), primary_key=True),
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    )
    op.create_index("report_tickets_by_ticket", "report_tickets", ["ticket_id"])


def _ticket_approvals() -> None:
    op.create_table(
        "ticket_approvals",
        sa.Column("approval_id", sa.String(32), primary_key=True),
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(128), nullable=False),
        sa.Column("asked_at", sa.String(32), nullable=False),
        sa.Column("decided_by", sa.String(128)),
        sa.Column("decided_at", sa.String(32)),
        sa.Column("outcome", sa.String(16)),
    )
    op.create_index("ticket_approvals_by_ticket", "ticket_approvals", ["ticket_id"])
    op.create_index("ticket_approvals_open", "ticket_approvals", ["outcome", "asked_at"])


def _ticket_bands() -> None:
    op.create_table(
        "ticket_bands",
        sa.Column("value", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    )
    op.create_index("ticket_bands_by_ticket", "ticket_bands", ["ticket_id"])


def _ticket_bulk_items() -> None:
    op.create_table(
        "ticket_bulk_items",
        sa.Column("token", sa.String(32), sa.ForeignKey("ticket_bulk_actions.token"), primary_key=True),
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )


def _ticket_dismissals() -> None:
    op.create_table(
        "ticket_dismissals",
        sa.Column("text_blind", sa.String(64), primary_key=True),
        sa.Column("rule", sa.String(128), primary_key=True),
        sa.Column("version", sa.String(128), primary_key=True),
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), nullable=False),
        sa.Column("until", sa.String(32), nullable=False),
    )
    op.create_index("ticket_dismissals_by_ticket", "ticket_dismissals", ["ticket_id"])


def _ticket_links() -> None:
    op.create_table(
        "ticket_links",
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
        sa.Column("other_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
    )
    op.create_index("ticket_links_by_other", "ticket_links", ["other_id"])


def _ticket_sketches() -> None:
    op.create_table(
        "ticket_sketches",
        sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
    )
