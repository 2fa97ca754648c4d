"""Disclosures, who approved them, and what was handed out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    name, moment = sa.String(128), sa.String(32)
    op.create_table(
        "disclosures",
        sa.Column("disclosure_id", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requested_by", name, nullable=False),
        sa.Column("requested_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("document_sha256", sa.String(64), nullable=False),
        sa.Column("document_sm3", sa.String(64), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "disclosure_approvals",
        sa.Column("disclosure_id", sa.String(32), sa.ForeignKey("disclosures.disclosure_id"), primary_key=True),
        sa.Column("approver", name, primary_key=True),
        sa.Column("at", moment, nullable=False),
    )
    op.create_table(
        "disclosure_exports",
        sa.Column("disclosure_id", sa.String(32), sa.ForeignKey("disclosures.disclosure_id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("exported_by", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("sm3", sa.String(64), nullable=False),
    )
