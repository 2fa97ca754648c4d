"""First tables: accounts, sessions, tokens, saved views, the coverage calendar."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ACCOUNT = "console_accounts.account_id"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "console_accounts",
        sa.Column("account_id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("display_name", sa.String(128), nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("password_changed_at", sa.String(32)),
        sa.Column("must_change", sa.Boolean, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.String(32)),
        sa.Column("totp_secret", sa.LargeBinary),
        sa.Column("totp_confirmed_at", sa.String(32)),
        sa.Column("totp_last_step", sa.BigInteger, nullable=False),
        sa.Column("sso_subject", sa.String(255), unique=True),
        sa.Column("disabled_at", sa.String(32)),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("last_sign_in_at", sa.String(32)),
    )
    op.create_table(
        "console_account_roles",
        sa.Column("account_id", sa.String(32), sa.ForeignKey(_ACCOUNT), primary_key=True),
        sa.Column("role", sa.String(32), primary_key=True),
    )
    op.create_table(
        "console_recovery_codes",
        sa.Column("account_id", sa.String(32), sa.ForeignKey(_ACCOUNT), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
    )
    op.create_table(
        "console_sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("account_id", sa.String(32), sa.ForeignKey(_ACCOUNT), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("seen_at", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.String(32), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(255), nullable=False),
    )
    op.create_index("console_sessions_by_account", "console_sessions", ["account_id"])
    op.create_table(
        "console_tokens",
        sa.Column("token_id", sa.String(16), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("account_id", sa.String(32), sa.ForeignKey(_ACCOUNT), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("permissions", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.String(32), nullable=False),
        sa.Column("last_used_at", sa.String(32)),
        sa.Column("revoked_at", sa.String(32)),
    )
    op.create_index("console_tokens_by_account", "console_tokens", ["account_id"])
    op.create_table(
        "console_setup_links",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.String(32), nullable=False),
        sa.Column("used_at", sa.String(32)),
    )
    op.create_table(
        "console_sign_in_flows",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("verifier", sa.String(128), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("expires_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "console_saved_views",
        sa.Column("view_id", sa.String(16), primary_key=True),
        sa.Column("account_id", sa.String(32), sa.ForeignKey(_ACCOUNT), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.UniqueConstraint("account_id", "name"),
    )
    op.create_table(
        "console_reveals",
        sa.Column("session_digest", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("until", sa.String(32), nullable=False),
    )
    op.create_table(
        "console_segment_days",
        sa.Column("segment_id", sa.String(64), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
    )
    op.create_index("console_segment_days_by_day", "console_segment_days", ["day"])
    op.create_table(
        "console_audit_reports",
        sa.Column("report_id", sa.String(16), primary_key=True),
        sa.Column("audit", sa.String(32), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("ok", sa.Boolean),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("console_audit_reports_by_audit", "console_audit_reports", ["audit", "at"])
