"""Sketches that tickets lack: of an older version, or of a queue that was rebuilt from the archive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from errors import IntegrityError
from retention.catalogue.engine import Catalogue
from tickets.bodies import Bodies, ticket_context
from tickets.recall import insert_sketches
from tickets.similar import VERSION, Sketcher
from tickets.tables import tickets
from tickets.tables_work import bands, sketches

_TOGETHER: Final = 500


def sketch_lacking(catalogue: Catalogue, bodies: Bodies, *, most: int = 20_000) -> tuple[int, list[str]]:
    """Make the sketches that are lacking, the newest tickets first, ``most`` of them.

    Returns:
        How many were made, and the tickets whose body is damaged: they stay without, and the next round tries again.
    """
    made, damaged = 0, list[str]()
    sketcher = Sketcher(bodies)
    last: tuple[str, str] | None = None
    while made < most:
        with catalogue.read() as connection:
            rows = _lacking(connection, last, min(_TOGETHER, most - made))
        if not rows:
            break
        last = (rows[-1].detected_at, rows[-1].ticket_id)
        texts: dict[str, str] = {}
        for row in rows:
            try:
                texts[row.ticket_id] = _text(bodies, row.ticket_id, row.body)
            except IntegrityError:
                damaged.append(row.ticket_id)
        found = list(zip(texts, sketcher.sketches(list(texts.values())), strict=True))
        with catalogue.write() as connection:
            for table in (bands, sketches):
                connection.execute(table.delete().where(table.c.ticket_id.in_(list(texts))))
            insert_sketches(connection, found)
        made += len(found)
    return made, damaged


def _lacking(connection: sa.Connection, last: tuple[str, str] | None, most: int) -> Sequence[Any]:
    """Tickets without a sketch of this version, older than the ``last`` one looked at."""
    c, s = tickets.c, sketches.c
    own = sa.and_(s.ticket_id == c.ticket_id, s.version == VERSION)
    chosen = sa.select(c.ticket_id, c.detected_at, c.body).outerjoin(sketches, own).where(s.ticket_id.is_(None))
    if last is not None:
        chosen = chosen.where(sa.tuple_(c.detected_at, c.ticket_id) < sa.tuple_(*map(sa.literal, last)))
    return connection.execute(chosen.order_by(c.detected_at.desc(), c.ticket_id.desc()).limit(most)).all()


def _text(bodies: Bodies, number: str, sealed: bytes) -> str:
    """A ticket's first text; empty of one whose texts were destroyed."""
    texts = json.loads(bodies.open(sealed, ticket_context(number)))["texts"]
    return str(texts[0]["text"]) if texts else ""
