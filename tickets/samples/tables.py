"""Tables of human review. They hold places in the archive, never texts: what the archive forgets is forgotten here."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from retention.catalogue import images
from tickets.tables import metadata

WAITING: Final = "waiting"
HARMLESS: Final = "harmless"
ILLEGAL: Final = "illegal"
GONE: Final = "gone"
"""It could not be shown any more when it was its turn: restricted, or destroyed. It counts as not reviewed."""

days = sa.Table(
    "sample_days",
    metadata,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("drawn_at", sa.String(32), nullable=False),
    sa.Column("drawn_by", sa.String(128), nullable=False),
    sa.Column("method", sa.String(64), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("frame", sa.Text, nullable=False),
    sa.Column("passed", sa.BigInteger, nullable=False),
    sa.Column("flagged", sa.BigInteger, nullable=False),
)
"""One row a day of publication: ``frame`` (class, field, sources as JSON) is what was drawn from, ``passed`` how many
texts of it no detector had found anything in, ``flagged`` the others."""

strata = sa.Table(
    "sample_strata",
    metadata,
    sa.Column("day", sa.String(10), sa.ForeignKey("sample_days.day"), primary_key=True),
    sa.Column("content_type", sa.String(64), primary_key=True),
    sa.Column("passed", sa.BigInteger, nullable=False),
)
"""The day's passed texts by type of content (``retention.audits.kinds``)."""

samples = sa.Table(
    "samples",
    metadata,
    sa.Column("sample_id", sa.String(32), primary_key=True),
    sa.Column("day", sa.String(10), sa.ForeignKey("sample_days.day"), nullable=False),
    sa.Column("rank", sa.String(16), nullable=False),
    sa.Column("source", sa.String(128), nullable=False),
    sa.Column("partition", sa.Text, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("record_class", sa.String(32), nullable=False),
    sa.Column("content_type", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("category", sa.String(32)),
    sa.Column("judged_by", sa.String(128)),
    sa.Column("judged_at", sa.String(32)),
    sa.Column("ticket_id", sa.String(32)),
    sa.Column("version", sa.Integer, nullable=False, default=1),
    sa.Index("samples_by_state", "state", "day", "rank"),
    sa.Index("samples_by_day", "day", "rank"),
    sa.Index("samples_by_place", "source", "partition", "offset"),
)
"""One row a drawn text, by its place in the archive; ``rank`` (hexadecimal) is the number by which it was drawn."""

for _table in (days, strata):
    images.register("sample_day", _table, "day")
images.register("sample", samples, "sample_id")
