"""Turns of commits: one that the database refused has its next try to itself.

PostgreSQL keeps SERIALIZABLE transactions apart by refusing one of two that met. While a store is young its planner
reads small tables whole, so that any two commits meet, and of two readers one was refused a minute long while the other
went on. A first try shares the turn with others; one after a refusal waits for those under way, and they for it.
"""

from __future__ import annotations

import sqlalchemy as sa

from retention.catalogue.tables import turns


def take_turn(connection: sa.Connection, *, alone: bool) -> None:
    """The first statement of a transaction: until it ends the turn is its own (``alone``) or shared.

    ``LOCK TABLE`` takes no snapshot (PostgreSQL manual, LOCK): what is read afterwards is what those before left.
    SQLite's writers have their turns anyway.
    """
    if connection.dialect.name == "postgresql":
        mode = "EXCLUSIVE" if alone else "ROW SHARE"
        connection.execute(sa.text(f"LOCK TABLE {turns.name} IN {mode} MODE"))
