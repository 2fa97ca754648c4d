"""Reads the queue: what is to be disposed of first, then what is to be reported, by legal deadline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from retention.catalogue.tables import events as event_table
from tickets.bodies import Bodies, note_context, ticket_context
from tickets.errors import TicketUnknownError
from tickets.states import TO_DISPOSE, TO_REPORT, State
from tickets.tables import findings as finding_table
from tickets.tables import notes as note_table
from tickets.tables import tickets as table


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket's columns (see the table for their meaning); no text, no account."""

    ticket_id: str
    sequence: int
    linked_to: str | None
    source: str
    partition: str
    offset: int
    content_id: str | None
    record_class: str
    field: str
    category: str
    severity: int
    score: float
    findings: int
    channel: str
    state: str
    decision: str | None
    assignee: str | None
    assigned_at: str | None
    event_time: str
    detected_at: str
    triaged_by: str | None
    triaged_at: str | None
    ordered_at: str | None
    effective_at: str | None
    measure: str | None
    due_on: str | None
    due_provisional: bool
    calendar_version: str | None
    reported_at: str | None
    receipt: str | None
    acknowledged_at: str | None
    closed_at: str | None
    version: int


COLUMNS = tuple(table.c[field.name] for field in fields(Ticket))


@dataclass(frozen=True, slots=True)
class Filters:
    """What to show; None leaves a filter out. ``due_by`` is an ISO date."""

    states: Sequence[State] | None = None
    category: str | None = None
    assignee: str | None = None
    content_id: str | None = None
    due_by: str | None = None


def list_tickets(
    connection: sa.Connection, filters: Filters = Filters(), *, limit: int = 50, offset: int = 0
) -> list[Ticket]:
    """Tickets in the order in which they want work.

    What is to be disposed of comes first (severity, then age: the law says 立即), then what is to be reported (by due
    date), then the rest, newest first.
    """
    c = table.c
    part = sa.case(
        (c.state.in_([state.value for state in TO_DISPOSE]), 0),
        (c.state.in_([state.value for state in TO_REPORT]), 1),
        else_=2,
    )
    rows = connection.execute(
        sa.select(*COLUMNS)
        .where(*_conditions(filters))
        .order_by(
            part,
            sa.case((part == 0, -c.severity), else_=0),
            sa.case((part == 1, c.due_on), else_=None),
            sa.case((part == 2, None), else_=c.detected_at),
            c.detected_at.desc(),
            c.ticket_id,
        )
        .limit(limit)
        .offset(offset)
    )
    return [Ticket(*row) for row in rows]


def count_tickets(connection: sa.Connection, filters: Filters = Filters()) -> int:
    """How many tickets a list would show without a limit."""
    return int(
        connection.execute(sa.select(sa.func.count()).where(*_conditions(filters)).select_from(table)).scalar_one()
    )


def get_ticket(connection: sa.Connection, ticket_id: str) -> Ticket:
    """One ticket.

    Raises:
        TicketUnknownError: there is none of that number.
    """
    row = connection.execute(sa.select(*COLUMNS).where(table.c.ticket_id == ticket_id)).one_or_none()
    if row is None:
        raise TicketUnknownError(f"There is no ticket {ticket_id!r}.", cure="`liucun tickets list` shows them.")
    return Ticket(*row)


@dataclass(frozen=True, slots=True)
class TicketDetail:
    """A ticket with what was sealed: ``texts`` are {field, text, offset}; ``timeline`` its events in order."""

    ticket: Ticket
    user_id: str | None
    texts: tuple[dict[str, Any], ...]
    findings: tuple[dict[str, Any], ...]
    notes: tuple[dict[str, str], ...]
    timeline: tuple[dict[str, Any], ...]


def ticket_detail(connection: sa.Connection, bodies: Bodies, ticket_id: str) -> TicketDetail:
    """A ticket opened for a person who works on it.

    Raises:
        TicketUnknownError: there is none of that number.
        IntegrityError, KeyAccessError: its sealed body cannot be opened.
    """
    ticket = get_ticket(connection, ticket_id)
    sealed = connection.execute(sa.select(table.c.body).where(table.c.ticket_id == ticket_id)).scalar_one()
    body = json.loads(bodies.open(sealed, ticket_context(ticket_id)))
    f = finding_table.c
    found = connection.execute(
        sa.select(
            f.partition,
            f.offset,
            f.field,
            f.rule,
            f.category,
            f.subtype,
            f.severity,
            f.start,
            f.end,
            f.score,
            f.version,
        )
        .where(f.ticket_id == ticket_id)
        .order_by(f.offset, f.start, f.id)
    ).mappings()
    n = note_table.c
    written = connection.execute(sa.select(n.at, n.actor, n.body).where(n.ticket_id == ticket_id).order_by(n.id)).all()
    e = event_table.c
    timeline = connection.execute(
        sa.select(e.at, e.kind, e.actor, e.body).where(e.subject == f"ticket:{ticket_id}").order_by(e.id)
    ).all()
    return TicketDetail(
        ticket=ticket,
        user_id=body["user_id"],
        texts=tuple(body["texts"]),
        findings=tuple(dict(row) for row in found),
        notes=tuple(
            {"at": row.at, "actor": row.actor, "text": bodies.open(row.body, note_context(ticket_id, row.at)).decode()}
            for row in written
        ),
        timeline=tuple({"at": r.at, "kind": r.kind, "actor": r.actor, **json.loads(r.body)} for r in timeline),
    )


def _conditions(filters: Filters) -> list[sa.ColumnElement[bool]]:
    c = table.c
    found: list[sa.ColumnElement[bool]] = []
    if filters.states is not None:
        found.append(c.state.in_([state.value for state in filters.states]))
    if filters.category is not None:
        found.append(c.category == filters.category)
    if filters.assignee is not None:
        found.append(c.assignee == filters.assignee)
    if filters.content_id is not None:
        found.append(c.content_id == filters.content_id)
    if filters.due_by is not None:
        found.append(sa.and_(c.due_on.is_not(None), c.due_on <= filters.due_by))
    return found
