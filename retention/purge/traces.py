"""Where a purge's steps stand in the transparency log: what a reader of its certificate proves by ``prove event``."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import orjson
import sqlalchemy as sa

from retention.catalogue.events import EVENT
from retention.catalogue.tables import events, log_leaves


@dataclass(frozen=True, slots=True)
class Trace:
    """One event of a purge. ``index`` is its place in the log, from 0; None until the log has numbered it. ``key`` is
    the period key that it names, if any."""

    number: int
    kind: str
    actor: str
    at: str
    index: int | None
    key: str | None

    def as_json(self) -> dict[str, object]:
        """The trace for programs."""
        return asdict(self)


def traces(connection: sa.Connection, purge_id: str) -> list[Trace]:
    """Every event of a purge, oldest first."""
    e, leaf = events.c, log_leaves.c
    numbered = sa.and_(leaf.type == EVENT, leaf.ref == sa.cast(e.id, sa.String))
    rows = connection.execute(
        sa.select(e.id, e.kind, e.actor, e.at, e.body, leaf.index.label("place"))
        .select_from(events.outerjoin(log_leaves, numbered))
        .where(e.subject == f"purge:{purge_id}")
        .order_by(e.id)
    )
    return [
        Trace(row.id, row.kind, row.actor, row.at, row.place, orjson.loads(row.body or "{}").get("key")) for row in rows
    ]
