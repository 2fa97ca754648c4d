"""Taking the next ticket 领取下一张: the most urgent that nobody has, one for each who asks."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from errors import BusyError
from tickets.actors import Right
from tickets.queue import Filters, Ticket, list_tickets
from tickets.states import OPEN, TO_DISPOSE, TO_REPORT
from tickets.steps.opening import OpeningSteps
from tickets.tables import tickets as table

_AT_ONCE: Final = 50
_ROUNDS: Final = 5


class TakingSteps(OpeningSteps):
    """Steps of who asks for work."""

    def claim_next(self, filters: Filters | None = None) -> Ticket | None:
        """Take the first ticket of the queue's order that nobody has; None when there is none.

        Two who ask at once get two tickets: who comes second passes over what is being taken.

        Args:
            filters: of which tickets, None of all; whose they are is left aside.

        Raises:
            BusyError: others took all that was free, again and again.
        """
        self.who.require(Right.TICKETS_WORK)
        filters = filters or Filters()
        asked = (*TO_DISPOSE, *TO_REPORT) if filters.states is None else filters.states
        wanted = [state for state in asked if state in OPEN]
        free = replace(filters, states=wanted, assignee=None, nobodys=True, free_for=None)
        for _ in range(_ROUNDS):
            with self.catalogue.read() as connection:
                ids = [ticket.ticket_id for ticket in list_tickets(connection, free, limit=_AT_ONCE)]
            if not ids:
                return None
            c = table.c
            with self.catalogue.write(row_locks=True) as connection:
                for number in ids:
                    still = sa.select(c.ticket_id).where(
                        c.ticket_id == number, c.assignee.is_(None), c.state.in_([state.value for state in wanted])
                    )
                    if connection.execute(still.with_for_update(skip_locked=True)).first() is not None:
                        return self._give(connection, self._ticket(connection, number), self.who.name, "ticket.claimed")
        raise BusyError("Others take every free ticket at this moment.", cure="Ask again.")
