"""The table of period keys, in a database of its own (its backups live shorter than the catalogue's)."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

period_keys = sa.Table(
    "period_keys",
    metadata,
    sa.Column("key_id", sa.String(64), primary_key=True),
    sa.Column("record_class", sa.String(64), nullable=False),
    sa.Column("period", sa.String(16), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("wrapped", sa.LargeBinary),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("destroyed_at", sa.String(32)),
    sa.Column("collector", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("record_class", "period", "generation"),
)
"""``wrapped`` is null once the key is destroyed; the row stays as the record that it existed.

``collector``: made by a process that can wrap and not unwrap. It opens what that process sealed, and seals no more.
"""

signing_keys = sa.Table(
    "signing_keys",
    metadata,
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("algorithm", sa.String(16), primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("public", sa.LargeBinary, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
)
"""Keys that sign the transparency log's checkpoints; of each algorithm the newest generation signs."""
