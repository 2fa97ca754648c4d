"""The order in which tickets want work: to be disposed of by weight and age, to be reported by legal day.

Each read is by an index, whatever the size of the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.sets import among
from retention.policies.periods import stored_date
from tickets.running import police_runs
from tickets.tables import tickets as table
from tickets.weights import WEIGHTS

_LOOK_UP: Final = 1_000


def urgent(
    connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]], wanted: int, now: datetime
) -> list[str]:
    """The ``wanted`` numbers of greatest weight × age.

    Within one weight the oldest comes first, so the oldest of each weight suffice: an index read a weight instead of a
    sort of the whole queue.
    """
    c = table.c
    of_each = (
        sa.select(c.ticket_id, c.detected_at, c.weight)
        .where(*conditions, c.weight == weight)
        .order_by(c.detected_at, c.ticket_id)
        .limit(wanted)
        .subquery()
        for weight in WEIGHTS
    )
    found: list[tuple[float, str, str]] = []
    for row in connection.execute(sa.union_all(*(sa.select(oldest) for oldest in of_each))):
        age = (now - datetime.fromisoformat(row.detected_at)).total_seconds()
        found.append((-row.weight * max(age, 1.0), row.detected_at, row.ticket_id))
    found.sort()
    return [ticket_id for _, _, ticket_id in found[:wanted]]


def by_deadline(connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]], wanted: int) -> list[str]:
    """The ``wanted`` numbers of the earliest legal day; those without one come last.

    The police must hear within hours of what the authority has ten working days for. Each read is by an index.
    """
    c = table.c
    order: dict[str, tuple[str, int, str]] = {}
    for one in _to_police(connection, conditions, wanted):
        day = stored_date(one.police_due_at).isoformat()
        if one.due_on is None or day <= one.due_on:
            order[one.ticket_id] = (day, 0, one.police_due_at)
    dated = sa.select(c.ticket_id, c.due_on, c.detected_at).where(*conditions, c.due_on.is_not(None))
    for row in connection.execute(dated.order_by(c.due_on, c.detected_at, c.ticket_id).limit(wanted)):
        order.setdefault(row.ticket_id, (row.due_on, 1, row.detected_at))
    ids = sorted(order, key=lambda number: (*order[number], number))
    if len(ids) < wanted:
        undated = sa.select(c.ticket_id).where(*conditions, c.due_on.is_(None)).order_by(c.detected_at, c.ticket_id)
        ids += [number for number in connection.execute(undated.limit(wanted)).scalars() if number not in order]
    return ids[:wanted]


def _to_police(
    connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]], wanted: int
) -> list[sa.Row[Any]]:
    """The ``wanted`` that the police must hear of first, so that no plan reads the whole part to find the few."""
    c = table.c
    running = sa.select(c.ticket_id).where(c.police_due_at.is_not(None), c.police_reported_at.is_(None))
    numbers = list(connection.execute(running.order_by(c.police_due_at, c.ticket_id)).scalars())
    found: list[sa.Row[Any]] = []
    for begin in range(0, len(numbers), _LOOK_UP):
        some = among(connection, c.ticket_id, numbers[begin : begin + _LOOK_UP])
        rows = sa.select(c.ticket_id, c.police_due_at, c.due_on).where(some, *police_runs(c), *conditions)
        found += connection.execute(rows.order_by(c.police_due_at, c.ticket_id))
        if len(found) >= wanted:
            break
    return found[:wanted]
