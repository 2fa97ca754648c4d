"""Which tickets an active hold keeps: named, of a held account or span, or about records in held segments.

The tables belong to the queue and are read by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.tables import segment_places
from retention.holds.effect import ACCOUNT, ACTIVE, SPAN, TICKET, held_segments
from retention.holds.tables import holds

_COLUMNS: Final = (
    "ticket_id", "source", "partition", "offset", "record_class", "account_blind", "event_time", "merged_into",
)  # fmt: skip
_AT_ONCE: Final = 500


def held_tickets(connection: sa.Connection) -> dict[str, list[str]]:
    """Tickets with the holds that keep them; what was merged into a held one is held with it."""
    h = holds.c
    active = connection.execute(sa.select(holds).where(h.state == ACTIVE).order_by(h.hold_id)).all()
    if not active:
        return {}
    found: dict[str, set[str]] = defaultdict(set)
    for hold in active:
        for ticket_id in _of_hold(connection, hold):
            found[ticket_id].add(hold.hold_id)
    for ticket_id, keepers in _of_segments(connection, held_segments(connection)):
        found[ticket_id] |= keepers
    return {ticket_id: sorted(names) for ticket_id, names in _with_merged(connection, found).items()}


def _tickets() -> Any:
    return sa.table("tickets", *map(sa.column, _COLUMNS)).alias("kept_tickets")


def _of_hold(connection: sa.Connection, hold: sa.Row[Any]) -> list[str]:
    t = _tickets().c
    chosen = sa.select(t.ticket_id)
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
