"""Which deadlines of a ticket still run: the authority's, an order's own, the police's hours; as conditions on rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final

import sqlalchemy as sa

from errors import UsageError
from retention.catalogue.tables import timestamp
from tickets.clocks import end_of
from tickets.states import Decision, Part, State
from tickets.tables import tickets as table

SILENT: Final = (State.DISMISSED, State.MERGED, State.REVERSED)
"""States in which nobody is to be told of a ticket; what was merged is told of with the ticket that took it in."""


def police_runs(columns: Any) -> tuple[sa.ColumnElement[bool], ...]:
    """That the police must still hear of a ticket (its columns), whatever the authority was told."""
    return (
        columns.police_due_at.is_not(None),
        columns.police_reported_at.is_(None),
        columns.decision == Decision.ILLEGAL.value,
        columns.state.not_in([state.value for state in SILENT]),
    )


def day_of(text: str) -> date:
    """A day as filters name it.

    Raises:
        UsageError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} is no day.", cure="Write it as 2026-11-24.") from error


def due_by(day: date) -> sa.ColumnElement[bool]:
    """That something is to be done about a ticket by the end of a Shanghai day, whoever it is due to.

    The authority's day and an order's own deadline count until the report is submitted, the police's hours until the
    police were told. The few with hours or deadlines of their own are read by their own indexes.
    """
    c, few = table.c, table.alias("running")
    try:
        end = timestamp(end_of(day))
    except OverflowError:
        end = timestamp(datetime.max.replace(tzinfo=UTC))
    told = sa.select(few.c.ticket_id).where(*police_runs(few.c), few.c.police_due_at <= end)
    ordered = sa.select(few.c.ticket_id).where(
        few.c.own_due_at.is_not(None), few.c.own_due_at <= end, few.c.part == int(Part.DISPOSE)
    )
    report = sa.and_(c.part < int(Part.REST), c.due_on.is_not(None), c.due_on <= day.isoformat())
    return sa.or_(report, c.ticket_id.in_(sa.union_all(told, ordered)))
