"""Tables of policies, units and subjects, in the catalogue's database.

A unit (销毁单元) is what one period key seals: it can be destroyed whole only. A subject is what a later record tells
the end of: an order, a seller, a stream, a ticket. Subjects stand under a keyed hash.
"""

from __future__ import annotations

import sqlalchemy as sa

from retention.catalogue import images

metadata = sa.MetaData()
_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

policy_versions = sa.Table(
    "policy_versions",
    metadata,
    sa.Column("record_class", sa.String(32), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("floor", sa.String(16), nullable=False),
    sa.Column("ceiling", sa.String(16), nullable=False),
    sa.Column("counted_from", sa.String(32), nullable=False),
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("rank", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("proposed_by", sa.String(128), nullable=False),
    sa.Column("proposed_at", sa.String(32), nullable=False),
    sa.Column("approved_by", sa.String(128)),
    sa.Column("approved_at", sa.String(32)),
    sa.Column("in_force_from", sa.String(10)),
)
"""Policies that replace the shipped ones. ``state``: proposed, approved (waits for its day, then counts), withdrawn."""

units = sa.Table(
    "retention_units",
    metadata,
    sa.Column("unit_id", _number, primary_key=True, autoincrement=True),
    sa.Column("key_id", sa.String(64), nullable=False, unique=True),
    sa.Column("record_class", sa.String(32), nullable=False),
    sa.Column("destroyed_at", sa.String(32)),
    sa.Index("retention_units_by_class", "record_class"),
)

unit_segments = sa.Table(
    "unit_segments",
    metadata,
    sa.Column("number", _number, primary_key=True, autoincrement=True),
    sa.Column("segment_id", sa.String(64), nullable=False, unique=True),
    sa.Column("unit_id", _number, sa.ForeignKey("retention_units.unit_id"), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes_stored", sa.BigInteger, nullable=False),
    sa.Column("committed_at", sa.String(32), nullable=False),
    sa.Index("unit_segments_by_unit", "unit_id"),
)
"""Which unit a segment belongs to. A row stands here only once the segment's subjects are known."""

segment_lineage = sa.Table(
    "segment_lineage",
    metadata,
    sa.Column("segment_id", sa.String(64), primary_key=True),
    sa.Column("replaced", sa.String(64), primary_key=True),
    sa.Index("segment_lineage_by_replaced", "replaced"),
)
"""A segment and those whose rows it took over: a hold on one holds the other."""

subjects = sa.Table(
    "retention_subjects",
    metadata,
    sa.Column("record_class", sa.String(32), primary_key=True),
    sa.Column("blind", sa.LargeBinary(16), primary_key=True),
    sa.Column("first_on", sa.String(10), nullable=False),
    sa.Column("news_on", sa.String(10), nullable=False),
    sa.Column("ended_at", sa.String(32)),
    sa.Column("ended_on", sa.String(10)),
    sa.Column("open_at", sa.String(32)),
    sa.Column("decision", sa.String(32)),
    sa.Index("retention_subjects_by_news", "record_class", "news_on"),
    sqlite_with_rowid=False,
)
"""``ended_at``: the latest record that ended it; ``open_at``: the latest that says it runs; ``news_on``: its last day.

``decision`` names the event of the two people who closed one that had no news.
"""

articles = sa.Table(
    "retention_articles",
    metadata,
    sa.Column("blind", sa.LargeBinary(16), primary_key=True),
    sa.Column("listed_on", sa.String(10)),
    sa.Column("ended_at", sa.String(32)),
    sa.Column("ended_on", sa.String(10)),
    sa.Column("open_at", sa.String(32)),
    sa.Column("sold_from", sa.String(10)),
    sa.Column("sold_until", sa.String(10)),
    sqlite_with_rowid=False,
)
"""What records tell of an article: when its listing was first seen (None: never), last taken down and put up, and the
first and last day on which an order named it. ``blind`` is that of the listing's subject, which counts from here."""

segment_subjects = sa.Table(
    "segment_subjects",
    metadata,
    sa.Column("number", _number, sa.ForeignKey("unit_segments.number"), primary_key=True),
    sa.Column("blind", sa.LargeBinary(16), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Index("segment_subjects_by_blind", "blind"),
    sqlite_with_rowid=False,
)
"""Which subjects have records in a segment (by its number in ``unit_segments``), and how many."""

decisions = sa.Table(
    "retention_decisions",
    metadata,
    sa.Column("decision_id", sa.String(32), primary_key=True),
    sa.Column("record_class", sa.String(32), nullable=False),
    sa.Column("blind", sa.LargeBinary(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("ended_on", sa.String(10), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("proposed_by", sa.String(128), nullable=False),
    sa.Column("proposed_at", sa.String(32), nullable=False),
    sa.Column("approved_by", sa.String(128)),
    sa.Column("approved_at", sa.String(32)),
)
"""Decisions that a subject without news has ended; ``sealed`` holds its name and the reason."""

images.register("policy", policy_versions, "record_class")
images.register("decision", decisions, "decision_id")
