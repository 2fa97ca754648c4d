"""Figures of the queue for summaries: open tickets by state and category, and what is due next."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from retention.catalogue.tables import timestamp
from tickets.states import OPEN, TO_DISPOSE, TO_REPORT, Part, State
from tickets.tables import tickets

NEXT = 5


@dataclass(frozen=True, slots=True)
class DueTicket:
    """A disposed ticket and the last day to report it."""

    ticket_id: str
    category: str
    due_on: str
    provisional: bool


@dataclass(frozen=True, slots=True)
class TicketSummary:
    """Counts of tickets; ``undated`` were confirmed or wait for it: their clock starts with disposal."""

    by_state: dict[State, int]
    by_category: dict[str, int]
    next_due: tuple[DueTicket, ...]
    by_part: dict[Part, int]
    missed: int = 0
    """Tickets to be disposed of whose target has passed."""

    @property
    def to_dispose(self) -> int:
        """Tickets about whose content nothing was done yet, or nothing that the platform acknowledged."""
        return self.by_part.get(Part.DISPOSE, 0)

    @property
    def to_report(self) -> int:
        """Tickets that were disposed of and are to be reported or closed."""
        return self.by_part.get(Part.REPORT, 0)


def ticket_summary(connection: sa.Connection) -> TicketSummary:
    """Count what is in the queue."""
    c = tickets.c
    states = connection.execute(sa.select(c.state, sa.func.count()).group_by(c.state)).all()
    categories = connection.execute(
        sa.select(c.category, sa.func.count())
        .where(c.state.in_([state.value for state in OPEN]))
        .group_by(c.category)
        .order_by(sa.func.count().desc(), c.category)
    ).all()
    due = connection.execute(
        sa.select(c.ticket_id, c.category, c.due_on, c.due_provisional)
        .where(c.state.in_([state.value for state in TO_REPORT]), c.due_on.is_not(None))
        .order_by(c.due_on, c.ticket_id)
        .limit(NEXT)
    ).all()
    parts = connection.execute(sa.select(c.part, sa.func.count()).group_by(c.part)).all()
    waiting = [state.value for state in TO_DISPOSE]
    late = sa.select(sa.func.count()).select_from(tickets).where(c.state.in_(waiting), c.dispose_by < timestamp())
    return TicketSummary(
        by_state={State(state): count for state, count in states},
        by_category={row.category: row[1] for row in categories},
        next_due=tuple(DueTicket(*row) for row in due),
        by_part={Part(part): count for part, count in parts},
        missed=connection.execute(late).scalar_one(),
    )
