"""Tables of the follower: how far it has come, and which documents stand for which segment.

A document carries the *label* of the segment it was first written for. Compaction moves labels to the new segment
without touching documents; so a segment's documents are those of all its labels.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

search_state = sa.Table(
    "search_state",
    metadata,
    sa.Column("generation", sa.String(16), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("events_position", sa.BigInteger, nullable=False),
    sa.Column("shape", sa.Text, nullable=False),
    sa.Column("begun_at", sa.String(32), nullable=False),
)
"""One row. All segments numbered below ``position``, all events below ``events_position``, are in the index."""

search_segments = sa.Table(
    "search_segments",
    metadata,
    sa.Column("segment_id", sa.String(64), primary_key=True),
    sa.Column("record_class", sa.String(32), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("withheld", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("recount", sa.Boolean, nullable=False),
    sa.Index("search_segments_by_state", "state"),
)
"""``state``: writing, done, forgetting. ``rows`` = documents + ``withheld`` (rows about restricted accounts).

``refused`` of the documents hold only what the cluster would take: the place of their record. ``recount``: a
restriction took documents away, ``withheld`` is not yet counted anew.
"""

search_labels = sa.Table(
    "search_labels",
    metadata,
    sa.Column("label", sa.String(64), primary_key=True),
    sa.Column("segment_id", sa.String(64), nullable=False),
    sa.Column("index_name", sa.String(255), nullable=False),
    sa.Column("key_id", sa.String(96), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Index("search_labels_by_segment", "segment_id"),
    sa.Index("search_labels_by_index", "index_name"),
)
"""``key_id``: the period key from which the key of the documents' hashes is derived."""
