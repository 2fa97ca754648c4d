"""Tables of holds, in the catalogue's database. Matters, reasons and persons stand sealed or under a keyed hash."""

from __future__ import annotations

import sqlalchemy as sa

from retention.catalogue import images

metadata = sa.MetaData()

holds = sa.Table(
    "holds",
    metadata,
    sa.Column("hold_id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("matter_blind", sa.String(64), nullable=False),
    sa.Column("record_class", sa.String(32)),
    sa.Column("since", sa.String(32)),
    sa.Column("until", sa.String(32)),
    sa.Column("placed_by", sa.String(128), nullable=False),
    sa.Column("placed_at", sa.String(32), nullable=False),
    sa.Column("released_by", sa.String(128)),
    sa.Column("released_at", sa.String(32)),
    sa.Column("release_sealed", sa.LargeBinary),
    sa.Column("proof_digest", sa.String(64)),
    sa.Column("target", sa.String(64)),
    sa.Index("holds_by_state", "state", "kind"),
)
"""``target``: the account under its keyed hash, or the ticket; None of other kinds, and of holds from before it was
noted, until ``examine`` has looked."""

hold_segments = sa.Table(
    "hold_segments",
    metadata,
    sa.Column("hold_id", sa.String(32), sa.ForeignKey("holds.hold_id"), primary_key=True),
    sa.Column("segment_id", sa.String(64), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Index("hold_segments_by_segment", "segment_id"),
)
"""What was found in a segment for a hold; ``rows`` 0 means examined and free. No row: not examined yet, so held."""

object_holds = sa.Table(
    "object_holds",
    metadata,
    sa.Column("segment_id", sa.String(64), primary_key=True),
    sa.Column("object_name", sa.Text, nullable=False),
)
"""Objects on which the object store keeps a legal hold of its own, put there by us."""

for _table in (holds, hold_segments):
    images.register("hold", _table, "hold_id")
