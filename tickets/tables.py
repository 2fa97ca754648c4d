"""Tables of the disposal queue, in the catalogue's database.

Text, account and whatever else a person wrote stand in sealed bodies; look-up values
are blinded. Times are the catalogue's strings (UTC).
"""

from __future__ import annotations

import sqlalchemy as sa

from retention.catalogue import images

metadata = sa.MetaData()

tickets = sa.Table(
    "tickets",
    metadata,
    sa.Column("ticket_id", sa.String(32), primary_key=True),
    sa.Column("content_key", sa.String(64), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("linked_to", sa.String(32)),
    sa.Column("source", sa.String(128), nullable=False),
    sa.Column("partition", sa.Text, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("content_id", sa.Text),
    sa.Column("record_class", sa.String(32), nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("account_blind", sa.String(64)),
    sa.Column("text_blind", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("category", sa.String(32), nullable=False),
    sa.Column("severity", sa.Integer, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("findings", sa.Integer, nullable=False),
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
    sa.Column("due_provisional", sa.Boolean, nullable=False, default=False),
    sa.Column("calendar_version", sa.String(64)),
    sa.Column("reported_at", sa.String(32)),
    sa.Column("receipt", sa.Text),
    sa.Column("acknowledged_at", sa.String(32)),
    sa.Column("closed_at", sa.String(32)),
    sa.Column("version", sa.Integer, nullable=False, default=1),
    sa.Column("subtype", sa.String(64)),
    sa.Column("reach", sa.BigInteger, nullable=False, default=0),
    sa.Column("weight", sa.Integer, nullable=False, default=1),
    sa.Column("part", sa.Integer, nullable=False, default=0),
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
    sa.Column("correction_needed", sa.Boolean, nullable=False, default=False),
    sa.Column("missed_at", sa.String(32)),
    sa.Column("text_key", sa.String(64)),
    sa.Column("texts_gone", sa.String(32)),
    sa.UniqueConstraint("content_key", "sequence"),
    # The columns after the order's let filters be judged, and pages be cut, without a look at the rows.
    sa.Index(
        "tickets_by_part", "part", "weight", "detected_at", "ticket_id", "channel", "severity", "decision", "due_on"
    ),
    sa.Index("tickets_by_state", "state", "part", "weight", "detected_at"),
    sa.Index("tickets_by_category", "category", "part", "weight", "detected_at"),
    sa.Index("tickets_by_assignee", "assignee", "part", "weight", "detected_at"),
    sa.Index("tickets_by_due", "part", "due_on", "detected_at", "ticket_id", "channel", "severity", "decision"),
    sa.Index("tickets_by_rest", "part", "detected_at", "ticket_id", "channel", "severity", "decision", "due_on"),
    *(
        # Few tickets have one: what has none is left out, or a database that counted its rows would read them all.
        sa.Index(name, column, sqlite_where=sa.text(there), postgresql_where=sa.text(there))
        for name, column, there in (
            ("tickets_by_merged", "merged_into", "merged_into IS NOT NULL"),
            ("tickets_by_link", "linked_to", "linked_to IS NOT NULL"),
            ("tickets_by_police", "police_due_at", "police_due_at IS NOT NULL AND police_reported_at IS NULL"),
            ("tickets_by_pending", "pending", "pending IS NOT NULL"),
            ("tickets_by_appeal", "appealed_at", "appealed_at IS NOT NULL"),
            ("tickets_by_own_due", "own_due_at", "own_due_at IS NOT NULL"),
        )
    ),
    sa.Index("tickets_by_target", "state", "dispose_by"),
    sa.Index("tickets_by_content", "content_id"),
    sa.Index("tickets_by_account", "account_blind"),
    sa.Index("tickets_by_text", "text_blind"),
    sa.Index("tickets_by_text_key", "text_key", "texts_gone"),
)
"""One row a ticket (处置工单). ``version`` moves with every change: who acts on an older one is told so.

``weight`` is severity × reach level, ``part`` the part of the queue; ``dispose_by`` the target of disposal,
``missed_at`` when it was found missed. ``own_due_at`` is an authority's own deadline. ``effect`` says what
``effective_at`` rests on: ``ordered`` (provisional), ``acknowledged`` by the platform, ``stated`` by a person,
``blocked`` automatically. ``pending`` is the approval that the ticket waits for.
``text_key`` is the key that its texts and notes are sealed under (None: from before there was one a month, or there are
none), ``texts_gone`` the purge that destroyed them.
"""

findings = sa.Table(
    "findings",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), nullable=False),
    sa.Column("partition", sa.Text, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("rule", sa.String(128), nullable=False),
    sa.Column("category", sa.String(32), nullable=False),
    sa.Column("subtype", sa.String(64)),
    sa.Column("severity", sa.Integer, nullable=False),
    sa.Column("start", sa.Integer, nullable=False),
    sa.Column("end", sa.Integer, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("version", sa.String(128), nullable=False),
    sa.Index("findings_by_ticket", "ticket_id"),
    sa.Index("findings_by_rule", "rule"),
)
"""One row a hit (监测发现). The matched words are not stored: they are the text from ``start`` to ``end``."""

texts = sa.Table(
    "ticket_texts",
    metadata,
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    sa.Column("text_blind", sa.String(64), primary_key=True),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
"""Texts that the content had later, when it was found again and read otherwise; sealed."""

notes = sa.Table(
    "ticket_notes",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("ticket_id", sa.String(32), sa.ForeignKey("tickets.ticket_id"), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("ticket_notes_by_ticket", "ticket_id"),
)
"""What people wrote about a ticket, reasons of decisions included; sealed."""

# A ticket's events carry these rows into the log: it can prove them, and the queue can be rebuilt from it.
for _table in (tickets, findings, texts, notes):
    images.register("ticket", _table, "ticket_id")
