"""What is kept with tickets (texts, notes) judged like the archive's units: one unit a key, one key a month of opening.

A ticket's texts count from its end; an open ticket, a hold on it, on its account, on the span or on the records that it
is about keeps them. What must stay when the others of its month go is sealed anew under the present month's key.
The tables belong to the queue and are read by name; ``purge.beside`` says who seals.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import sqlalchemy as sa

from retention.crypto.bodies import TEXTS
from retention.policies.beside_unit import BesideUnit
from retention.policies.held_tickets import held_tickets
from retention.policies.model import Policy
from retention.policies.periods import may_go_on, stored_date
from retention.policies.ticket_ends import has_tickets, standing_tickets

_COLUMNS: Final = ("ticket_id", "text_key", "texts_gone", "body", "detected_at")
_AT_ONCE: Final = 500


def text_units(connection: sa.Connection, only: int | None = None) -> list[BesideUnit]:
    """Every unit of tickets' texts that are there."""
    if not has_texts(connection) or (only is not None and only >= 0):
        return []
    t, s = _tickets().c, standing_tickets().alias("standing").c
    # By the hour: days and months are Shanghai's, the catalogue's times are not.
    hour = sa.func.substr(s.ended_at, 1, 13)
    joined = sa.select(
        t.text_key,
        sa.func.min(t.detected_at).label("first"),
        sa.func.max(t.detected_at).label("last"),
        s.ended,
        hour.label("hour"),
        sa.func.count().label("rows"),
        sa.func.sum(sa.func.length(t.body)).label("bytes"),
    ).select_from(t.ticket_id.table.join(s.ticket_id.table, s.ticket_id == t.ticket_id))
    chosen = joined.where(t.text_key.is_not(None), t.texts_gone.is_(None)).group_by(t.text_key, s.ended, hour)
    found: dict[str, BesideUnit] = {}
    for row in connection.execute(chosen.order_by(t.text_key)):
        unit = found.setdefault(row.text_key, BesideUnit(TEXTS, row.text_key))
        unit.months |= {f"{stored_date(at):%Y-%m}" for at in (row.first, row.last)}
        unit.bytes_stored += int(row.bytes or 0)
        unit.add(_by_hour(row.hour) if row.ended else None, int(row.rows))
    chosen_units = {key: unit for key, unit in found.items() if only is None or unit.number == only}
    for key_id, ticket_id, kept, ended in _held(connection) if chosen_units else ():
        if key_id in chosen_units:
            chosen_units[key_id].held[ticket_id] = (kept, ended)
    return list(chosen_units.values())


def staying(connection: sa.Connection, key_id: str, policy: Policy, at: date) -> dict[str, bool]:
    """Every ticket under a key, and whether its texts must stay on a day."""
    t, s = _tickets().c, standing_tickets().alias("standing").c
    rows = connection.execute(
        sa.select(t.ticket_id, s.ended, s.ended_at)
        .select_from(t.ticket_id.table.join(s.ticket_id.table, s.ticket_id == t.ticket_id))
        .where(t.text_key == key_id, t.texts_gone.is_(None))
    )
    held = {ticket_id for _, ticket_id, _, _ in _held(connection)}
    return {
        row.ticket_id: (
            row.ticket_id in held or not row.ended or may_go_on(stored_date(row.ended_at), policy.floor) > at
        )
        for row in rows
    }


def has_texts(connection: sa.Connection) -> bool:
    """Whether the store has a queue whose texts lie under keys of their own."""
    if not has_tickets(connection):
        return False
    return "text_key" in {column["name"] for column in sa.inspect(connection).get_columns("tickets")}


def _tickets() -> Any:
    return sa.table("tickets", *map(sa.column, _COLUMNS)).alias("kept_tickets")


def _by_hour(hour: str) -> date:
    return stored_date(f"{hour}:00:00.000000Z")


def _held(connection: sa.Connection) -> Iterable[tuple[str, str, list[str], date | None]]:
    """Tickets whose texts a hold keeps: key, ticket, the holds, the day that it counts from if it has ended."""
    names = held_tickets(connection)
    t, s = _tickets().c, standing_tickets().alias("standing").c
    ids = sorted(names)
    for begin in range(0, len(ids), _AT_ONCE):
        rows = connection.execute(
            sa.select(t.text_key, t.ticket_id, s.ended, s.ended_at)
            .select_from(t.ticket_id.table.join(s.ticket_id.table, s.ticket_id == t.ticket_id))
            .where(t.ticket_id.in_(ids[begin : begin + _AT_ONCE]), t.text_key.is_not(None), t.texts_gone.is_(None))
        )
        for row in rows:
            # The day as text_units counts it: by the hour.
            day = _by_hour(row.ended_at[:13]) if row.ended else None
            yield row.text_key, row.ticket_id, names[row.ticket_id], day
