"""Counts the open deadlines again when another calendar is there: provisional days become certain, with a record."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from tickets.calendar.working_days import WorkingCalendar
from tickets.queue import COLUMNS, Ticket
from tickets.settings import TicketSettings
from tickets.states import Decision, State
from tickets.steps.base import as_time
from tickets.steps.dating import due_columns
from tickets.tables import tickets as table

_CHUNK: Final = 500


def recount(catalogue: Catalogue, calendar: WorkingCalendar, settings: TicketSettings, *, actor: str) -> list[Ticket]:
    """Count the days of every disposed ticket that another calendar dated; returns those whose last day changed.

    The start of the count never changes. Each ticket gets an event with both days and both calendars.
    """
    changed: list[Ticket] = []
    after = ""
    while True:
        with catalogue.write(row_locks=True) as connection:
            c = table.c
            rows = connection.execute(
                sa.select(*COLUMNS)
                .where(
                    c.state == State.DISPOSED.value,
                    c.decision == Decision.ILLEGAL.value,
                    c.ticket_id > after,
                    sa.or_(c.calendar_version != calendar.version, c.due_at.is_(None)),
                )
                .order_by(c.ticket_id)
                .limit(_CHUNK)
                .with_for_update()
            ).all()
            for row in rows:
                ticket = Ticket(*row)
                if _count_again(connection, ticket, calendar, settings, actor):
                    changed.append(ticket)
        if len(rows) < _CHUNK:
            return changed
        after = rows[-1].ticket_id


def _count_again(
    connection: sa.Connection, ticket: Ticket, calendar: WorkingCalendar, settings: TicketSettings, actor: str
) -> bool:
    begun = ticket.effective_at or ticket.ordered_at
    if begun is None:
        return False
    values = due_columns(ticket.decision, ticket.own_due_at, as_time(begun), calendar, settings)
    connection.execute(
        table.update().where(table.c.ticket_id == ticket.ticket_id).values(**values, version=ticket.version + 1)
    )
    body = {
        **values,
        "due_before": ticket.due_on,
        "provisional_before": ticket.due_provisional,
        "calendar_before": ticket.calendar_version,
    }
    events.append(connection, kind="ticket.due_recounted", actor=actor, subject=f"ticket:{ticket.ticket_id}", body=body)
    return values["due_on"] != ticket.due_on
