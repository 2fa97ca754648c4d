"""Tables of disclosures, in the catalogue's database. What they are about (accounts, reasons) is sealed."""

from __future__ import annotations

import sqlalchemy as sa

from retention.catalogue import images

metadata = sa.MetaData()

disclosures = sa.Table(
    "disclosures",
    metadata,
    sa.Column("disclosure_id", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("requested_by", sa.String(128), nullable=False),
    sa.Column("requested_at", sa.String(32), nullable=False),
    sa.Column("expires_at", sa.String(32), nullable=False),
    sa.Column("document_sha256", sa.String(64), nullable=False),
    sa.Column("document_sm3", sa.String(64), nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("text_key", sa.String(64)),
    sa.Column("texts_gone", sa.String(32)),
)
"""``state``: requested, approved (by two), refused. ``document`` is the sealed case document, ``sealed`` case and
scope, both under the key ``text_key``; ``texts_gone`` is the purge that destroyed them."""

accounts = sa.Table(
    "disclosure_accounts",
    metadata,
    sa.Column("disclosure_id", sa.String(32), sa.ForeignKey("disclosures.disclosure_id"), primary_key=True),
    sa.Column("account_blind", sa.String(64), primary_key=True),
)
"""Whom a disclosure is about, under a keyed hash: a hold on one of them keeps its records."""

approvals = sa.Table(
    "disclosure_approvals",
    metadata,
    sa.Column("disclosure_id", sa.String(32), sa.ForeignKey("disclosures.disclosure_id"), primary_key=True),
    sa.Column("approver", sa.String(128), primary_key=True),
    sa.Column("at", sa.String(32), nullable=False),
)

exports = sa.Table(
    "disclosure_exports",
    metadata,
    sa.Column("disclosure_id", sa.String(32), sa.ForeignKey("disclosures.disclosure_id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("exported_by", sa.String(128), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("sm3", sa.String(64), nullable=False),
)
"""What was handed out: digests of each bundle before it was encrypted to its recipient."""

keys = sa.Table(
    "disclosure_keys",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("disclosure_id", sa.String(32), sa.ForeignKey("disclosures.disclosure_id"), nullable=False),
    sa.Column("issued_by", sa.String(128), nullable=False),
    sa.Column("issued_at", sa.String(32), nullable=False),
    sa.Column("revoked_by", sa.String(128)),
    sa.Column("revoked_at", sa.String(32)),
)
"""Digests of keys by which an authority reads an approved disclosure; they end with it, or when taken back alone."""

for _table in (disclosures, accounts, approvals, exports, keys):
    images.register("disclosure", _table, "disclosure_id")
