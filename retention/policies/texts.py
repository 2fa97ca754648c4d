"""What is kept with tickets (texts, notes) judged like the archive's units: one unit a key, one key a month of opening.

A ticket's texts count from its end; an open ticket, a hold on it, on its account, on the span or on the records that it
is about keeps them. What must stay when the others of its month go is sealed anew under the present month's key.
The tables belong to the queue and are read by name; ``purge.texts`` says who seals.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.tables import segment_places
from retention.holds.effect import ACCOUNT, ACTIVE, SPAN, TICKET, held_segments
from retention.holds.tables import holds
from retention.policies.model import Policy
from retention.policies.periods import may_go_on, stored_date
from retention.policies.ticket_ends import has_tickets, standing_tickets

_COLUMNS: Final = (
    "ticket_id", "source", "partition", "offset", "record_class", "account_blind", "event_time", "merged_into",
    "text_key", "texts_gone", "body", "detected_at",
)  # fmt: skip
_AT_ONCE: Final = 500


@dataclass(slots=True)
class TextUnit:
    """The tickets under one key: how many count from which day, are open or held, and the bytes of their bodies."""

    key_id: str
    months: set[str] = field(default_factory=set)
    bytes_stored: int = 0
    open: int = 0
    ended: dict[date, int] = field(default_factory=dict)
    held: dict[str, tuple[list[str], date | None]] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """A number that no unit of segments has."""
        return number_of(self.key_id)

    @property
    def rows(self) -> int:
        """Tickets."""
        return self.open + sum(self.ended.values())

    @property
    def free(self) -> dict[date, int]:
        """Ended tickets that no hold keeps, by the day that they count from."""
        found = dict(self.ended)
        for _, day in self.held.values():
            if day is not None:
                found[day] -= 1
        return {day: count for day, count in found.items() if count}


def number_of(key_id: str) -> int:
    """The number of a key's unit: below zero, the same wherever it is asked for."""
    return -1 - int.from_bytes(hashlib.sha256(key_id.encode()).digest()[:7])


def text_units(connection: sa.Connection, only: int | None = None) -> list[TextUnit]:
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
    found: dict[str, TextUnit] = {}
    for row in connection.execute(chosen.order_by(t.text_key)):
        unit = found.setdefault(row.text_key, TextUnit(row.text_key))
        unit.months |= {f"{stored_date(at):%Y-%m}" for at in (row.first, row.last)}
        unit.bytes_stored += int(row.bytes or 0)
        if row.ended:
            day = stored_date(f"{row.hour}:00:00.000000Z")
            unit.ended[day] = unit.ended.get(day, 0) + int(row.rows)
        else:
            unit.open += int(row.rows)
    chosen_units = {key: unit for key, unit in found.items() if only is None or unit.number == only}
    for key_id, ticket_id, kept, ended in _held(connection):
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


def _held(connection: sa.Connection) -> list[tuple[str, str, list[str], date | None]]:
    """Tickets whose texts a hold keeps: key, ticket, the holds, the day that it counts from if it has ended."""
    h = holds.c
    active = connection.execute(sa.select(holds).where(h.state == ACTIVE).order_by(h.hold_id)).all()
    if not active:
        return []
    found: dict[str, set[str]] = defaultdict(set)
    for hold in active:
        for ticket_id in _of_hold(connection, hold):
            found[ticket_id].add(hold.hold_id)
    for ticket_id, keepers in _of_segments(connection, held_segments(connection)):
        found[ticket_id] |= keepers
    names = _with_merged(connection, found)
    t, s = _tickets().c, standing_tickets().alias("standing").c
    done: list[tuple[str, str, list[str], date | None]] = []
    ids = sorted(names)
    for begin in range(0, len(ids), _AT_ONCE):
        rows = connection.execute(
            sa.select(t.text_key, t.ticket_id, s.ended, s.ended_at)
            .select_from(t.ticket_id.table.join(s.ticket_id.table, s.ticket_id == t.ticket_id))
            .where(t.ticket_id.in_(ids[begin : begin + _AT_ONCE]), t.text_key.is_not(None), t.texts_gone.is_(None))
        )
        for row in rows:
            # The day as text_units counts it: by the hour.
            day = stored_date(f"{row.ended_at[:13]}:00:00.000000Z") if row.ended else None
            done.append((row.text_key, row.ticket_id, sorted(names[row.ticket_id]), day))
    return done


def _of_hold(connection: sa.Connection, hold: sa.Row[Any]) -> list[str]:
    t = _tickets().c
    chosen = sa.select(t.ticket_id).where(t.text_key.is_not(None), t.texts_gone.is_(None))
    if hold.kind == SPAN:
        if hold.record_class is not None:
            chosen = chosen.where(t.record_class == hold.record_class)
        if hold.since is not None:
            chosen = chosen.where(t.event_time >= hold.since)
        if hold.until is not None:
            chosen = chosen.where(t.event_time < hold.until)
    elif hold.kind in (ACCOUNT, TICKET):
        # Of a hold from before its target was noted, whom it means is known to the keys alone: everything stays.
        if hold.target is not None:
            chosen = chosen.where((t.account_blind if hold.kind == ACCOUNT else t.ticket_id) == hold.target)
    else:
        return []  # by the segments it names
    return list(connection.execute(chosen).scalars())


def _of_segments(connection: sa.Connection, held: Mapping[str, list[str]]) -> Iterable[tuple[str, set[str]]]:
    """Tickets about records in held segments."""
    t, p = _tickets().c, segment_places.c
    inside = sa.and_(p.source == t.source, p.partition == t.partition, p.start <= t.offset, p.end > t.offset)
    ids = sorted(held)
    for begin in range(0, len(ids), _AT_ONCE):
        rows = connection.execute(
            sa.select(t.ticket_id, p.segment_id)
            .select_from(t.ticket_id.table.join(segment_places, inside))
            .where(p.segment_id.in_(ids[begin : begin + _AT_ONCE]))
        )
        for row in rows:
            yield row.ticket_id, set(held[row.segment_id])


def _with_merged(connection: sa.Connection, found: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """What was merged into a held ticket is held with it."""
    t = _tickets().c
    names = {ticket_id: set(ids) for ticket_id, ids in found.items()}
    waiting = sorted(names)
    while waiting:
        part, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        rows = connection.execute(sa.select(t.ticket_id, t.merged_into).where(t.merged_into.in_(part)))
        for row in rows:
            mine = names.setdefault(row.ticket_id, set())
            if not names[row.merged_into] <= mine:
                mine |= names[row.merged_into]
                waiting.append(row.ticket_id)
    return names
