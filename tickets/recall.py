"""What the queue remembers of texts: dismissals by text and rule version, and sketches of near-identical ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.sets import among, delete_rows, insert_rows
from tickets.bodies import Bodies, ticket_context
from tickets.similar import ALIKE, VERSION, Sketch, likeness
from tickets.states import State
from tickets.tables import findings as finding_table
from tickets.tables import texts as text_table
from tickets.tables import tickets
from tickets.tables_work import bands, dismissals, sketches

Reason = tuple[str, str, str]
"""(blinded text, rule, version)"""
_Place = tuple[str, str, int]
"""(ticket, field, offset) of a text"""
OPENED_BY_HAND: Final = ("human:", "complaint:", "authority:", "engine:")
"""Rules of what no text detector found; their dismissals are never remembered."""
_LOOK_UP: Final = 1_000
_MOST: Final = 2_000
"""Candidates that are compared with a text, those that meet it in most bands first,"""
_SEEN: Final = 20_000
"""of so many meetings in a band."""


def reasons_of(connection: sa.Connection, bodies: Bodies, ids: Sequence[str]) -> dict[str, list[Reason]]:
    """Of tickets, (blinded text, rule, version) of every hit that a detector found."""
    found: dict[str, set[Reason]] = {}
    for begin in range(0, len(ids), _LOOK_UP):
        part = ids[begin : begin + _LOOK_UP]
        hits = _detected(connection, part)
        blinds = _known_blinds(connection, part)
        if lacking := sorted({place[0] for place, _, _ in hits if place not in blinds}):
            blinds = _sealed_blinds(connection, bodies, lacking) | blinds
        for place, rule, version in hits:
            if (known := blinds.get(place)) is not None:
                found.setdefault(place[0], set()).add((known, rule, version))
    return {number: sorted(reasons) for number, reasons in found.items()}


def _detected(connection: sa.Connection, ids: Sequence[str]) -> list[tuple[_Place, str, str]]:
    """(where, rule, version) of every hit in some tickets that a detector found."""
    f = finding_table.c
    chosen = sa.select(f.ticket_id, f.field, f.offset, f.rule, f.version).where(among(connection, f.ticket_id, ids))
    return [
        ((number, field, offset), rule, version)
        for number, field, offset, rule, version in connection.execute(chosen)
        if not rule.startswith(OPENED_BY_HAND)
    ]


def _known_blinds(connection: sa.Connection, ids: Sequence[str]) -> dict[_Place, str]:
    """Blinded texts that the database names by itself: each ticket's first text, and those that it had later."""
    c, t = tickets.c, text_table.c
    first = sa.select(c.ticket_id, c.field, c.offset, c.text_blind).where(among(connection, c.ticket_id, ids))
    later = sa.select(t.ticket_id, t.field, t.offset, t.text_blind).where(among(connection, t.ticket_id, ids))
    rows = (row for chosen in (first, later) for row in connection.execute(chosen))
    return {(number, field, offset): blind for number, field, offset, blind in rows}


def _sealed_blinds(connection: sa.Connection, bodies: Bodies, ids: Sequence[str]) -> dict[_Place, str]:
    """Blinded texts out of the sealed bodies: content with hits in several fields names only the first by itself."""
    chosen = sa.select(tickets.c.ticket_id, tickets.c.body).where(among(connection, tickets.c.ticket_id, ids))
    return {
        (number, entry["field"], entry["offset"]): bodies.blind(str(entry["text"]), "text")
        for number, sealed in connection.execute(chosen)
        for entry in json.loads(bodies.open(sealed, ticket_context(number)))["texts"]
    }


def remembered(connection: sa.Connection, reasons: Iterable[frozenset[Reason]], now: str) -> dict[Reason, str]:
    """Of some reasons, those that a person dismissed and that are still remembered, each with its ticket."""
    wanted = frozenset().union(*reasons)
    d = dismissals.c
    found: dict[Reason, str] = {}
    texts = sorted({text for text, _, _ in wanted})
    for begin in range(0, len(texts), _LOOK_UP):
        rows = connection.execute(
            sa.select(d.text_blind, d.rule, d.version, d.ticket_id).where(
                among(connection, d.text_blind, texts[begin : begin + _LOOK_UP]), d.until > now
            )
        )
        found |= {(row.text_blind, row.rule, row.version): row.ticket_id for row in rows}
    return {reason: ticket_id for reason, ticket_id in found.items() if reason in wanted}


def remember(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Remember dismissals; a newer one of the same text and rule takes the older one's place."""
    delete_rows(
        connection, dismissals, [{name: row[name] for name in ("text_blind", "rule", "version")} for row in rows]
    )
    insert_rows(connection, dismissals, rows)


def forget(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Forget what was remembered of tickets whose dismissal was taken back."""
    for begin in range(0, len(ids), _LOOK_UP):
        chosen = among(connection, dismissals.c.ticket_id, ids[begin : begin + _LOOK_UP])
        connection.execute(dismissals.delete().where(chosen))


def insert_sketches(connection: sa.Connection, found: Sequence[tuple[str, Sketch | None]]) -> None:
    """Store sketches and their bands; None says that a text is too short to be compared."""
    insert_rows(
        connection,
        sketches,
        [
            {"ticket_id": number, "version": VERSION, "signature": sketch.signature if sketch else b""}
            for number, sketch in found
        ],
    )
    values = [
        {"value": value, "ticket_id": number}
        for number, sketch in found
        if sketch is not None
        for value in dict.fromkeys(sketch.bands)
    ]
    insert_rows(connection, bands, values)


def near(connection: sa.Connection, ticket_id: str, states: Sequence[State] = ()) -> list[tuple[str, float]]:
    """Tickets whose text is nearly that of a ticket, most alike first, with the estimated likeness 0 to 1.

    ``states``: only those in one of them; what was settled long ago must not crowd out what waits.
    """
    own = connection.execute(
        sa.select(sketches.c.signature).where(sketches.c.ticket_id == ticket_id, sketches.c.version == VERSION)
    ).scalar_one_or_none()
    if not own:
        return []
    mine = connection.execute(sa.select(bands.c.value).where(bands.c.ticket_id == ticket_id)).scalars().all()
    meeting = sa.select(bands.c.ticket_id).where(bands.c.value.in_(mine), bands.c.ticket_id != ticket_id)
    if states:
        meeting = meeting.join(tickets, tickets.c.ticket_id == bands.c.ticket_id).where(tickets.c.state.in_(states))
    met = meeting.limit(_SEEN).subquery()
    closest = sa.select(met.c.ticket_id).group_by(met.c.ticket_id)
    closest = closest.order_by(sa.func.count().desc(), met.c.ticket_id).limit(_MOST)
    wanted = connection.execute(closest).scalars().all()
    rows: list[Any] = []
    for begin in range(0, len(wanted), _LOOK_UP):
        chosen = sa.select(sketches).where(among(connection, sketches.c.ticket_id, wanted[begin : begin + _LOOK_UP]))
        rows += connection.execute(chosen).all()
    shares = likeness(own, [row.signature for row in rows])
    found = [(row.ticket_id, share) for row, share in zip(rows, shares, strict=True) if share >= ALIKE]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))
