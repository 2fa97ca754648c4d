"""Indexes of the queue: filters judged and pages cut without a look at the rows; links and merged parts found."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_JUDGED = ["ticket_id", "channel", "severity", "decision"]


def upgrade() -> None:
    """Make the order's indexes wider, add two."""
    for name, columns in (
        ("tickets_by_part", ["part", "weight", "detected_at", *_JUDGED, "due_on"]),
        ("tickets_by_due", ["part", "due_on", "detected_at", *_JUDGED]),
        ("tickets_by_rest", ["part", "detected_at", *_JUDGED, "due_on"]),
    ):
        op.drop_index(name, "tickets")
        op.create_index(name, "tickets", columns)
    op.create_index("tickets_by_merged", "tickets", ["merged_into"])
    op.create_index("tickets_by_link", "tickets", ["linked_to"])
