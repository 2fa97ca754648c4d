"""Tables of what leaves the house: disposal orders, the outbox, reports, duties."""

from __future__ import annotations

import sqlalchemy as sa

from retention.catalogue import images
from tickets.tables import metadata

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

orders = sa.Table(
    "disposal_orders",
    metadata,
    sa.Column("order_id", sa.String(32), primary_key=True),
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), nullable=False),
    sa.Column("measure", sa.String(32), nullable=False),
    sa.Column("ordered_by", sa.String(128), nullable=False),
    sa.Column("ordered_at", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("acknowledged_at", sa.String(32)),
    sa.Column("effective_at", sa.String(32)),
    sa.Column("reference", sa.Text),
    sa.Column("alarmed_at", sa.String(32)),
    sa.Index("disposal_orders_by_ticket", "ticket_id"),
    sa.Index("disposal_orders_by_state", "state", "ordered_at"),
)
"""Measures asked of the platform: waiting, acknowledged, refused; ``reference`` is the platform's."""

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(64), nullable=False, unique=True),
    sa.Column("channel", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("next_at", sa.String(32), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("sent_at", sa.String(32)),
    sa.Column("text_key", sa.String(64)),
    sa.Column("texts_gone", sa.String(32)),
    sa.Index("outbox_by_state", "state", "next_at"),
    sa.Index("outbox_by_subject", "subject"),
    sa.Index("outbox_by_text_key", "text_key", "state"),
)
"""Messages written in the transaction that causes them and delivered afterwards; ``key`` makes them idempotent.

``text_key`` is the key that the body is (or, once it was delivered and emptied, was) sealed under, ``texts_gone`` the
purge that destroyed one that never went out.
"""

outbox_tickets = sa.Table(
    "outbox_tickets",
    metadata,
    sa.Column("message", _NUMBER, sa.ForeignKey("outbox.id"), primary_key=True, autoincrement=False),
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
)
"""The tickets that an undelivered message names: it is kept as long as they are."""

reports = sa.Table(
    "reports",
    metadata,
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
    sa.Column("submission", sa.Text),
    sa.Column("receipt", sa.Text),
    sa.Column("settled_at", sa.String(32)),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("sm3", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("text_key", sa.String(64)),
    sa.Column("texts_gone", sa.String(32)),
    sa.Index("reports_by_state", "state", "due_at"),
)
"""Reports to authorities (上报): what was said is sealed in ``body`` as it stood when the report was made, under the
key ``text_key``; ``texts_gone`` is the purge that destroyed it. Numbers, times, persons, digests and receipts stay."""

report_tickets = sa.Table(
    "report_tickets",
    metadata,
    sa.Column("report_id", sa.String(32), sa.ForeignKey("reports.report_id"), primary_key=True),
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    sa.Index("report_tickets_by_ticket", "ticket_id"),
)

duties = sa.Table(
    "duties",
    metadata,
    sa.Column("duty_id", sa.String(32), primary_key=True),
    sa.Column("clock", sa.String(32), nullable=False),
    sa.Column("title", sa.LargeBinary, nullable=False),
    sa.Column("started_at", sa.String(32), nullable=False),
    sa.Column("opens_at", sa.String(32)),
    sa.Column("due_at", sa.String(32), nullable=False),
    sa.Column("due_on", sa.String(10), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("created_by", sa.String(128), nullable=False),
    sa.Column("completed_at", sa.String(32)),
    sa.Column("completed_by", sa.String(128)),
    sa.Column("receipt", sa.Text),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("text_key", sa.String(64)),
    sa.Column("texts_gone", sa.String(32)),
    sa.Index("duties_by_state", "state", "due_at"),
)
"""Duties beside tickets: incident reports, assessments, change filings, renewal, annual report. Title and files are
sealed under the key ``text_key``; ``texts_gone`` is the purge that destroyed them."""

images.register("ticket", orders, "ticket_id")
for _table in (reports, report_tickets):
    images.register("report", _table, "report_id")
images.register("duty", duties, "duty_id")
