"""Tables of destruction, in the catalogue's database. Rows stay when what they describe is gone."""

from __future__ import annotations

import sqlalchemy as sa

from retention.catalogue import images

metadata = sa.MetaData()
_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

purges = sa.Table(
    "purges",
    metadata,
    sa.Column("purge_id", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("plan_digest", sa.String(64), nullable=False),
    sa.Column("planned_by", sa.String(128), nullable=False),
    sa.Column("planned_at", sa.String(32), nullable=False),
    sa.Column("approved_by", sa.String(128)),
    sa.Column("approved_at", sa.String(32)),
    sa.Column("waits_until", sa.String(32)),
    sa.Column("started_at", sa.String(32)),
    sa.Column("finished_at", sa.String(32)),
    sa.Column("final_after", sa.String(32)),
    sa.Column("certificate", sa.Text),
    sa.Column("signature", sa.Text),
    sa.Index("purges_by_state", "state"),
)
"""``state``: planned, approved, running, certified (backups of keys still live), final, cancelled."""

purge_units = sa.Table(
    "purge_units",
    metadata,
    sa.Column("purge_id", sa.String(32), sa.ForeignKey("purges.purge_id"), primary_key=True),
    sa.Column("unit_id", _number, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("key_id", sa.String(64), nullable=False),
    sa.Column("record_class", sa.String(32), nullable=False),
    sa.Column("periods", sa.Text, nullable=False),
    sa.Column("segments", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes_stored", sa.BigInteger, nullable=False),
    sa.Column("kept_rows", sa.BigInteger, nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("expired_on", sa.String(10), nullable=False),
    sa.Column("key_fingerprint", sa.String(64)),
    sa.Column("why_not", sa.Text),
    sa.Column("destroyed_at", sa.String(32)),
    sa.Index("purge_units_by_unit", "unit_id"),
)
"""``state``: planned, claimed, deleted (objects gone), shredded; or dropped, with ``why_not``."""

purge_segments = sa.Table(
    "purge_segments",
    metadata,
    sa.Column("purge_id", sa.String(32), sa.ForeignKey("purges.purge_id"), primary_key=True),
    sa.Column("segment_id", sa.String(64), primary_key=True),
    sa.Column("unit_id", _number, nullable=False),
    sa.Column("object_name", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes_stored", sa.BigInteger, nullable=False),
    sa.Column("key_id", sa.String(64), nullable=False),
    sa.Column("ciphertext_digest", sa.String(64), nullable=False),
    sa.Index("purge_segments_by_segment", "segment_id"),
)
"""What a claimed unit held. When an object was deleted stands in ``retired_segments``."""

destroyed_places = sa.Table(
    "destroyed_places",
    metadata,
    sa.Column("segment_id", sa.String(64), primary_key=True),
    sa.Column("source", sa.String(128), primary_key=True),
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("key_id", sa.String(64), nullable=False),
    sa.Index("destroyed_places_by_batch", "source", "partition", "start"),
)
"""Which rows of which committed range a destroyed segment held: coverage still adds up."""

for _table in (purges, purge_units):
    images.register("purge", _table, "purge_id")
for _table in (purge_segments, destroyed_places):
    images.register("shredding", _table, "key_id")
