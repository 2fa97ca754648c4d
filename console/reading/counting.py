"""How many tickets a page of the queue stands for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from tickets.queue import Filters, count_tickets
from tickets.states import TO_DISPOSE, TO_REPORT, Part, State
from tickets.tables import tickets as table

_STATES: Final = {
    Part.DISPOSE: TO_DISPOSE,
    Part.REPORT: TO_REPORT,
    Part.REST: tuple(state for state in State if state not in (*TO_DISPOSE, *TO_REPORT)),
}


def part_counts(connection: sa.Connection) -> dict[Part, int]:
    """Tickets in each part of the whole queue."""
    rows = connection.execute(sa.select(table.c.part, sa.func.count()).group_by(table.c.part))
    found = {Part(row.part): row[1] for row in rows}
    return {part: found.get(part, 0) for part in Part}


def total(connection: sa.Connection, filters: Filters, parts: dict[Part, int]) -> int:
    """Tickets that a list shows in all its pages.

    With further filters a part is counted by its states; a disposal that the platform has not acknowledged counts to
    the reports there, while the list shows it among what is to be disposed of.
    """
    if filters.part is None:
        return count_tickets(connection, filters)
    if filters == Filters(part=filters.part):
        return parts[filters.part]
    states = filters.states if filters.states is not None else tuple(State)
    within = [state for state in states if state in _STATES[filters.part]]
    return count_tickets(connection, replace(filters, part=None, states=within))
