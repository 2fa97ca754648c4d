"""When a ticket must be reported: ten working days, an authority's own deadline, the police clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from retention.catalogue.tables import timestamp
from tickets.calendar.working_days import WorkingCalendar
from tickets.categories import category_of
from tickets.clocks import SHANGHAI, TEN_WORKING_DAYS, deadline
from tickets.queue import Ticket
from tickets.settings import TicketSettings
from tickets.states import Decision
from tickets.steps.base import as_time, earliest


def due_columns(
    decision: str | None,
    own_due_at: str | None,
    effective: datetime,
    calendar: WorkingCalendar,
    settings: TicketSettings,
) -> dict[str, object]:
    """The columns of the report's deadline: the earlier of ten working days (违法 only) and the authority's own."""
    if decision == Decision.ILLEGAL:
        due = deadline(TEN_WORKING_DAYS, effective, calendar, close=settings.close_of_business)
        due_at, provisional, version = timestamp(due.due), due.provisional, due.calendar
    else:
        due_at, provisional, version = None, False, None
    if own_due_at is not None and (due_at is None or own_due_at <= due_at):
        due_at, provisional = own_due_at, False
    return {
        "due_at": due_at,
        "due_on": as_time(due_at).astimezone(SHANGHAI).date().isoformat() if due_at else None,
        "due_provisional": provisional,
        "calendar_version": version,
    }


def police_columns(ticket: Ticket, decision: Decision, now: datetime, settings: TicketSettings) -> dict[str, object]:
    """The police clock's column where it applies: hours from confirmation or the automatic block, whichever is first.

    计算机信息网络国际联网安全保护管理办法 art. 10(6). A clock that runs is never started again.
    """
    applies = settings.police and decision == Decision.ILLEGAL and category_of(ticket.category).police
    if not applies or ticket.police_due_at is not None:
        return {}
    begun = earliest(timestamp(now), ticket.blocked_at)
    assert begun is not None
    return {"police_due_at": timestamp(as_time(begun) + timedelta(hours=settings.police_hours))}
