"""Names of objects: whoever commits one takes it before the collection of orphans does, or learns that it was too late.

An object is durable before the transaction that names it. Between the two it looks like an orphan, and a writer that
hangs there for longer than the grace period finds its object condemned. On PostgreSQL many of these transactions run at
READ COMMITTED, where a look at the tombstones would prove nothing about a collection that commits in the same moment:
so the row is deleted, over which the two conflict.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from errors import BusyError
from retention.catalogue.sets import among
from retention.catalogue.tables import tombstones


class TombstoneError(BusyError):
    """An object was condemned as an orphan while what names it waited. Worth a retry, under a new name."""


def take_names(connection: sa.Connection, names: Sequence[str]) -> None:
    """Take objects that were written before this transaction, which is to name them.

    Raises:
        TombstoneError: one was condemned by the collection of orphans.
    """
    t = tombstones.c
    chosen = among(connection, t.object_name, names)
    connection.execute(tombstones.delete().where(chosen, t.condemned_at.is_(None)))
    condemned = connection.execute(
        sa.select(t.object_name).where(chosen, t.condemned_at.is_not(None)).limit(1)
    ).scalar_one_or_none()
    if condemned is not None:
        raise TombstoneError(
            f"The object {condemned!r} was collected as an orphan before anything named it.",
            cure="Nothing was committed; do it again: it is written under a new name.",
        )
