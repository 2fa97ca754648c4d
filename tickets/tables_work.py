"""Tables of the work on tickets: approvals, bulk steps, links, near-duplicates, remembered dismissals, warnings."""

from __future__ import annotations

import sqlalchemy as sa

from retention.catalogue import images
from tickets.tables import metadata

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

approvals = sa.Table(
    "ticket_approvals",
    metadata,
    sa.Column("approval_id", sa.String(32), primary_key=True),
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("asked_by", sa.String(128), nullable=False),
    sa.Column("asked_at", sa.String(32), nullable=False),
    sa.Column("decided_by", sa.String(128)),
    sa.Column("decided_at", sa.String(32)),
    sa.Column("outcome", sa.String(16)),
    sa.Index("ticket_approvals_by_ticket", "ticket_id"),
    sa.Index("ticket_approvals_open", "outcome", "asked_at"),
)
"""Steps that wait for a second person: ``kind`` decision or effective; ``value`` what was asked, as JSON."""

bulk_actions = sa.Table(
    "ticket_bulk_actions",
    metadata,
    sa.Column("token", sa.String(32), primary_key=True),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("until", sa.String(32), nullable=False),
    sa.Column("undone_at", sa.String(32)),
)
"""A step on many tickets; its token undoes it until ``until``."""

bulk_items = sa.Table(
    "ticket_bulk_items",
    metadata,
    sa.Column("token", sa.String(32), sa.ForeignKey("ticket_bulk_actions.token"), primary_key=True),
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)
"""The columns as they were, as JSON, and the version that the step left."""

links = sa.Table(
    "ticket_links",
    metadata,
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    sa.Column("other_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Index("ticket_links_by_other", "other_id"),
)
"""Links that a person made, the smaller number first; links by account and text follow from the tickets themselves."""

bands = sa.Table(
    "ticket_bands",
    metadata,
    sa.Column("value", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    sa.Index("ticket_bands_by_ticket", "ticket_id"),
)
"""Keyed hashes of bands of a text's signature: texts that share one may be near-duplicates."""

sketches = sa.Table(
    "ticket_sketches",
    metadata,
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("version", sa.SmallInteger, nullable=False, server_default="1"),
)
"""MinHash signatures under the store's key; an empty one of a text that is too short."""

dismissals = sa.Table(
    "ticket_dismissals",
    metadata,
    sa.Column("text_blind", sa.String(64), primary_key=True),
    sa.Column("rule", sa.String(128), primary_key=True),
    sa.Column("version", sa.String(128), primary_key=True),
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), nullable=False),
    sa.Column("until", sa.String(32), nullable=False),
    sa.Index("ticket_dismissals_by_ticket", "ticket_id"),
)
"""What a person found harmless: this text, by this rule of this version, until then."""

warnings = sa.Table(
    "ticket_warnings",
    metadata,
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("clock", sa.String(32), primary_key=True),
    sa.Column("step", sa.String(32), primary_key=True),
    sa.Column("at", sa.String(32), nullable=False),
)
"""Warnings that went out, so that each goes out once."""

files = sa.Table(
    "ticket_files",
    metadata,
    sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("sm3", sa.String(64), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("place", sa.Text),
    sa.Index("ticket_files_by_subject", "subject", "id"),
)
"""Evidence of tickets (``ticket:…``) and duties (``duty:…``), with both digests of what was sealed: a sealed body, or
(then empty) the place of its record in the archive, ``PARTITION@OFFSET``."""

images.register("ticket", approvals, "ticket_id")
images.register("file", files, "id")
