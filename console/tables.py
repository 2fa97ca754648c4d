"""Tables of the console, in the catalogue's database, all named ``console_…``.

Secrets stand here only as digests (sessions, tokens, links), as argon2id hashes (passwords) or sealed (TOTP).
Times are the catalogue's strings (UTC).
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

_ACCOUNT = "console_accounts.account_id"

accounts = sa.Table(
    "console_accounts",
    metadata,
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
"""One row a person. ``failures`` counts wrong passwords and codes since the last sign-in."""

account_roles = sa.Table(
    "console_account_roles",
    metadata,
    sa.Column("account_id", sa.String(32), sa.ForeignKey(_ACCOUNT), primary_key=True),
    sa.Column("role", sa.String(32), primary_key=True),
)

recovery_codes = sa.Table(
    "console_recovery_codes",
    metadata,
    sa.Column("account_id", sa.String(32), sa.ForeignKey(_ACCOUNT), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
)
"""Unused codes that stand in for a lost second factor."""

sessions = sa.Table(
    "console_sessions",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(32), sa.ForeignKey(_ACCOUNT), nullable=False),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("seen_at", sa.String(32), nullable=False),
    sa.Column("expires_at", sa.String(32), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("agent", sa.String(255), nullable=False),
    sa.Index("console_sessions_by_account", "account_id"),
)
"""One row a signed-in browser; ``stage`` is what is still asked of it (``Stage``)."""

tokens = sa.Table(
    "console_tokens",
    metadata,
    sa.Column("token_id", sa.String(16), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("account_id", sa.String(32), sa.ForeignKey(_ACCOUNT), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("permissions", sa.Text, nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("expires_at", sa.String(32), nullable=False),
    sa.Column("last_used_at", sa.String(32)),
    sa.Column("revoked_at", sa.String(32)),
    sa.Index("console_tokens_by_account", "account_id"),
)
"""Tokens of the HTTP API and the command line; ``permissions`` is a JSON list, never more than the account's own."""

setup_links = sa.Table(
    "console_setup_links",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("expires_at", sa.String(32), nullable=False),
    sa.Column("used_at", sa.String(32)),
)

sign_in_flows = sa.Table(
    "console_sign_in_flows",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("nonce", sa.String(64), nullable=False),
    sa.Column("verifier", sa.String(128), nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("expires_at", sa.String(32), nullable=False),
)
"""Sign-ins under way at the identity provider, by the digest of their ``state``."""

saved_views = sa.Table(
    "console_saved_views",
    metadata,
    sa.Column("view_id", sa.String(16), primary_key=True),
    sa.Column("account_id", sa.String(32), sa.ForeignKey(_ACCOUNT), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.UniqueConstraint("account_id", "name"),
)

reveals = sa.Table(
    "console_reveals",
    metadata,
    sa.Column("session_digest", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("until", sa.String(32), nullable=False),
)
"""What a session may see unmasked, and until when; the reason stands in the event."""

audit_reports = sa.Table(
    "console_audit_reports",
    metadata,
    sa.Column("report_id", sa.String(16), primary_key=True),
    sa.Column("audit", sa.String(32), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("ok", sa.Boolean),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("heading", sa.Text),
    sa.Index("console_audit_reports_by_audit", "audit", "at"),
)
"""Audits run from the console: ``ok`` is null while one runs; ``body`` is the report's JSON, pictures included;
``heading`` the little that a list shows."""
