"""What the queue remembers of texts: dismissals by text and rule version, and sketches of near-identical ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from tickets.similar import ALIKE, Sketch, likeness
from tickets.tables_work import bands, dismissals, sketches

Reason = tuple[str, str, str]
"""(blinded text, rule, version)"""
_LOOK_UP: Final = 500
_MOST: Final = 200
"""Candidates of one band that are compared with a text."""


def remembered(connection: sa.Connection, reasons: Iterable[frozenset[Reason]], now: str) -> dict[Reason, str]:
    """Of some reasons, those that a person dismissed and that are still remembered, each with its ticket."""
    wanted = frozenset().union(*reasons)
    d = dismissals.c
    found: dict[Reason, str] = {}
    texts = sorted({text for text, _, _ in wanted})
    for begin in range(0, len(texts), _LOOK_UP):
        rows = connection.execute(
            sa.select(d.text_blind, d.rule, d.version, d.ticket_id).where(
                d.text_blind.in_(texts[begin : begin + _LOOK_UP]), d.until > now
            )
        )
        found |= {(row.text_blind, row.rule, row.version): row.ticket_id for row in rows}
    return {reason: ticket_id for reason, ticket_id in found.items() if reason in wanted}


def remember(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Remember dismissals; a newer one of the same text and rule takes the older one's place."""
    d = dismissals.c
    keys = [{"b_text": r["text_blind"], "b_rule": r["rule"], "b_version": r["version"]} for r in rows]
    if not keys:
        return
    connection.execute(
        dismissals.delete().where(
            d.text_blind == sa.bindparam("b_text"),
            d.rule == sa.bindparam("b_rule"),
            d.version == sa.bindparam("b_version"),
        ),
        keys,
    )
    connection.execute(dismissals.insert(), list(rows))


def forget(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Forget what was remembered of tickets whose dismissal was taken back."""
    for begin in range(0, len(ids), _LOOK_UP):
        connection.execute(dismissals.delete().where(dismissals.c.ticket_id.in_(ids[begin : begin + _LOOK_UP])))


def insert_sketches(connection: sa.Connection, found: Sequence[tuple[str, Sketch]]) -> None:
    """Store sketches and their bands."""
    connection.execute(
        sketches.insert(), [{"ticket_id": number, "signature": sketch.signature} for number, sketch in found]
    )
    connection.execute(
        bands.insert(),
        [{"value": value, "ticket_id": number} for number, sketch in found for value in dict.fromkeys(sketch.bands)],
    )


def near(connection: sa.Connection, ticket_id: str) -> list[tuple[str, float]]:
    """Tickets whose text is nearly that of a ticket, most alike first, with the estimated likeness 0 to 1."""
    own = connection.execute(
        sa.select(sketches.c.signature).where(sketches.c.ticket_id == ticket_id)
    ).scalar_one_or_none()
    if own is None:
        return []
    mine = connection.execute(sa.select(bands.c.value).where(bands.c.ticket_id == ticket_id)).scalars().all()
    candidates: set[str] = set()
    for value in mine:
        same = sa.select(bands.c.ticket_id).where(bands.c.value == value, bands.c.ticket_id != ticket_id)
        candidates |= set(connection.execute(same.order_by(bands.c.ticket_id).limit(_MOST)).scalars())
    rows: list[Any] = []
    wanted = sorted(candidates)
    for begin in range(0, len(wanted), _LOOK_UP):
        chosen = sa.select(sketches).where(sketches.c.ticket_id.in_(wanted[begin : begin + _LOOK_UP]))
        rows += connection.execute(chosen).all()
    shares = likeness(own, [row.signature for row in rows])
    found = [(row.ticket_id, share) for row, share in zip(rows, shares, strict=True) if share >= ALIKE]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))
