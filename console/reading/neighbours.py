"""What stands before and after a ticket in the order in which a person works through the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa

from tickets.queue import Filters, Ticket, list_tickets
from tickets.states import Part

NEAR: Final = 200
"""Tickets of the order that are looked at: who stands further back goes on at the front, where it is urgent."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Numbers of tickets; None where there is none."""

    before: str | None = None
    after: str | None = None


def neighbours(connection: sa.Connection, filters: Filters, ticket: Ticket, *, worker: str | None) -> Neighbours:
    """The tickets beside one in a view of the queue.

    One that is in the view no more, since it was decided, is followed by the view's first. Without a part or state the
    view is what wants work: first what is to be disposed of, what is to be reported when that is done.

    Args:
        worker: who goes through it to work, and is not shown what others have taken; None of who only reads.
    """
    if worker is not None and filters.assignee is None and filters.states is None and filters.part != Part.REST:
        filters = replace(filters, free_for=worker)
    for part in (Part.DISPOSE, Part.REPORT) if filters.part is None and filters.states is None else (filters.part,):
        found = list_tickets(connection, replace(filters, part=part), limit=NEAR)
        beside = _beside([one.ticket_id for one in found], ticket.ticket_id)
        if beside != Neighbours():
            return beside
    return Neighbours()


def _beside(ids: Sequence[str], number: str) -> Neighbours:
    if number not in ids:
        return Neighbours(after=ids[0] if ids else None)
    at = ids.index(number)
    return Neighbours(ids[at - 1] if at else None, ids[at + 1] if at + 1 < len(ids) else None)
