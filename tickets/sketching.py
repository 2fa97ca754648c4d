"""Sketches that tickets lack: of an older version, or of a queue that was rebuilt from the archive."""

from __future__ import annotations

import json
from typing import Final

import sqlalchemy as sa

from errors import IntegrityError
from retention.catalogue.engine import Catalogue
from tickets.bodies import Bodies, ticket_context
from tickets.recall import insert_sketches
from tickets.similar import VERSION, Sketcher
from tickets.tables import tickets
from tickets.tables_work import bands, sketches

_TOGETHER: Final = 500


def sketch_lacking(catalogue: Catalogue, bodies: Bodies, *, most: int = 20_000) -> int:
    """Make the sketches that are lacking, the newest tickets first, and return how many were made."""
    made = 0
    sketcher = Sketcher(bodies)
    while made < most:
        with catalogue.read() as connection:
            rows = _lacking(connection, min(_TOGETHER, most - made))
        if not rows:
            break
        texts = [_text(bodies, number, sealed) for number, sealed in rows]
        numbers = [number for number, _ in rows]
        found = list(zip(numbers, sketcher.sketches(texts), strict=True))
        with catalogue.write() as connection:
            for table in (bands, sketches):
                connection.execute(table.delete().where(table.c.ticket_id.in_(numbers)))
            insert_sketches(connection, found)
        made += len(rows)
    return made


def _lacking(connection: sa.Connection, most: int) -> list[tuple[str, bytes]]:
    c, s = tickets.c, sketches.c
    own = sa.and_(s.ticket_id == c.ticket_id, s.version == VERSION)
    chosen = sa.select(c.ticket_id, c.body).outerjoin(sketches, own).where(s.ticket_id.is_(None))
    rows = connection.execute(chosen.order_by(c.detected_at.desc()).limit(most))
    return [(number, sealed) for number, sealed in rows]


def _text(bodies: Bodies, number: str, sealed: bytes) -> str:
    """A ticket's first text; none where the body cannot be opened, which the audit of integrity finds."""
    try:
        texts = json.loads(bodies.open(sealed, ticket_context(number)))["texts"]
    except IntegrityError:
        return ""
    return str(texts[0]["text"]) if texts else ""
