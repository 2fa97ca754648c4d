"""Which live segments a period key seals: asked before it is destroyed, of the manifests themselves."""

from __future__ import annotations

import sqlalchemy as sa

from retention.catalogue.tables import meta, segments

RETIRED_PREFIX = "retired:"
"""Rows of ``meta`` that name a retired key, which no commit may name any more; the value is the purge."""


def live_segments(connection: sa.Connection, key_id: str, record_class: str) -> int:
    """How many segments that can be read are sealed under a key.

    Args:
        connection: a transaction.
        key_id: the key.
        record_class: the class that the key was made for; keys of what outlives its month add to the class's name.
    """
    # A manifest has one spelling only, in which this stands nowhere else: quotes in strings are escaped.
    named = sa.literal(f'"key_id":"{key_id}"'.encode(), sa.LargeBinary)
    if connection.dialect.name == "postgresql":
        found = sa.func.position(named.op("IN")(segments.c.manifest))
    else:
        found = sa.func.instr(segments.c.manifest, named)
    of_class = segments.c.record_class == record_class.partition(".")[0]
    return int(connection.execute(sa.select(sa.func.count()).where(of_class, found > 0)).scalar_one())


def retire(connection: sa.Connection, key_id: str, purge_id: str) -> None:
    """From now on no commit may name the key; again is no fault."""
    name = f"{RETIRED_PREFIX}{key_id}"
    if connection.execute(sa.select(meta.c.key).where(meta.c.key == name)).first() is None:
        connection.execute(meta.insert().values(key=name, value=purge_id))
