"""Reads the queue: what is to be disposed of first, then what is to be reported, by legal deadline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.sets import among
from retention.catalogue.tables import events as event_table
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies, note_context, text_context, ticket_context
from tickets.errors import TicketUnknownError
from tickets.ordering import by_deadline, urgent
from tickets.running import SILENT, day_of, due_by, police_runs
from tickets.states import Channel, Decision, Part, State, Waits
from tickets.tables import findings as finding_table
from tickets.tables import notes as note_table
from tickets.tables import texts as text_table
from tickets.tables import tickets as table

_LOOK_UP: Final = 1_000


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
    subtype: str | None
    reach: int
    weight: int
    part: int
    dispose_by: str | None
    own_due_at: str | None
    due_at: str | None
    effect: str | None
    blocked_at: str | None
    police_due_at: str | None
    police_reported_at: str | None
    pending: str | None
    merged_into: str | None
    appealed_at: str | None
    report_id: str | None
    correction_needed: bool
    missed_at: str | None

    @property
    def tells_police(self) -> bool:
        """Whether the police must still hear of it, by ``police_due_at``; as ``running.police_runs``."""
        waits = self.police_due_at is not None and self.police_reported_at is None
        return waits and self.decision == Decision.ILLEGAL and self.state not in SILENT


COLUMNS = tuple(table.c[field.name] for field in fields(Ticket))


@dataclass(frozen=True, slots=True)
class Filters:
    """What to show; None leaves a filter out. ``part`` is one part of the queue, ``due_by`` an ISO date: what is due by
    the end of that day, to the authority, to the police, or by an order's own deadline.

    ``missed``: only what is to be disposed of and is past its target. ``nobodys``: only what nobody has taken;
    ``free_for``: only that, and what this actor has.
    """

    states: Sequence[State] | None = None
    category: str | None = None
    assignee: str | None = None
    content_id: str | None = None
    due_by: str | None = None
    part: Part | None = None
    decision: Decision | None = None
    channel: Channel | None = None
    severity: int | None = None
    missed: bool = False
    account_blind: str | None = None
    text_blind: str | None = None
    nobodys: bool = False
    free_for: str | None = None
    waits: Waits | None = None


def list_tickets(
    connection: sa.Connection,
    filters: Filters = Filters(),
    *,
    limit: int = 50,
    offset: int = 0,
    now: datetime | None = None,
) -> list[Ticket]:
    """Tickets in the order in which they want work.

    What is to be disposed of comes first (severity × reach × age: the law says 立即), then what is to be reported
    (by the earlier of the due date and the police's hours), then the rest, newest first. ``now`` is for tests.
    """
    ids: list[str] = []
    skip = offset
    for part in Part if filters.part is None else (filters.part,):
        if len(ids) >= limit:
            break
        found, skip = _part(connection, part, filters, limit - len(ids), skip, now or datetime.now(UTC))
        ids += found
    return tickets_by_id(connection, ids)


def tickets_by_id(connection: sa.Connection, ids: Sequence[str], *, lock: bool = False) -> list[Ticket]:
    """Tickets in the order of their numbers as given; unknown numbers are left out.

    ``lock`` holds them for the transaction, in one order for everybody, so that two bulk steps never wait in a ring.
    """
    rows: dict[str, Ticket] = {}
    ordered = sorted(ids) if lock else ids
    for begin in range(0, len(ids), _LOOK_UP):
        part = ordered[begin : begin + _LOOK_UP]
        chosen = sa.select(*COLUMNS).where(among(connection, table.c.ticket_id, part))
        if lock:
            chosen = chosen.order_by(table.c.ticket_id).with_for_update()
        rows |= {row.ticket_id: Ticket(*row) for row in connection.execute(chosen)}
    return [rows[ticket_id] for ticket_id in ids if ticket_id in rows]


def versions_of(connection: sa.Connection, ids: Sequence[str], *, lock: bool = False) -> dict[str, int]:
    """The versions of tickets, by their numbers; unknown ones are left out. ``lock`` as of ``tickets_by_id``."""
    found: dict[str, int] = {}
    ordered = sorted(ids)
    for begin in range(0, len(ordered), _LOOK_UP):
        some = among(connection, table.c.ticket_id, ordered[begin : begin + _LOOK_UP])
        chosen = sa.select(table.c.ticket_id, table.c.version).where(some).order_by(table.c.ticket_id)
        rows = connection.execute(chosen.with_for_update() if lock else chosen)
        found.update({row.ticket_id: row.version for row in rows})
    return found


def _part(
    connection: sa.Connection, part: Part, filters: Filters, limit: int, skip: int, now: datetime
) -> tuple[list[str], int]:
    """Numbers of one part of the queue, and how many are still to be skipped in the next."""
    c = table.c
    conditions = [c.part == int(part), *_conditions(filters)]
    if skip:
        there = int(connection.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one())
        if skip >= there:
            return [], skip - there
    if part == Part.DISPOSE:
        ids = urgent(connection, conditions, limit + skip, now)
    elif part == Part.REPORT:
        ids = by_deadline(connection, conditions, limit + skip)
    else:
        rest = sa.select(c.ticket_id).where(*conditions).order_by(c.detected_at.desc(), c.ticket_id)
        ids = list(connection.execute(rest.limit(limit + skip)).scalars())
    return ids[skip : skip + limit], max(skip - len(ids), 0)


def count_tickets(connection: sa.Connection, filters: Filters = Filters()) -> int:
    """How many tickets a list would show without a limit."""
    return int(
        connection.execute(sa.select(sa.func.count()).where(*_conditions(filters)).select_from(table)).scalar_one()
    )


def get_ticket(connection: sa.Connection, ticket_id: str, *, lock: bool = False) -> Ticket:
    """One ticket; ``lock`` holds it until the transaction ends.

    Raises:
        TicketUnknownError: there is none of that number.
    """
    chosen = sa.select(*COLUMNS).where(table.c.ticket_id == ticket_id)
    row = connection.execute(chosen.with_for_update() if lock else chosen).one_or_none()
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
    details: dict[str, str]
    """What else was said when it was opened: URL, reference of an order, who complained."""
    texts_destroyed_by: str | None
    """The purge that destroyed the texts (account, details, notes) it had; what came later has a period of its own."""


def ticket_detail(connection: sa.Connection, bodies: Bodies, ticket_id: str) -> TicketDetail:
    """A ticket opened for a person who works on it.

    Raises:
        TicketUnknownError: there is none of that number.
        IntegrityError, KeyAccessError: its sealed body cannot be opened.
    """
    return ticket_details(connection, bodies, [ticket_id])[0]


def ticket_details(
    connection: sa.Connection, bodies: Bodies, ids: Sequence[str], *, history: bool = True
) -> list[TicketDetail]:
    """Tickets opened, in the order given, in a few reads however many they are.

    Without ``history`` their notes and events are left out.

    Raises:
        TicketUnknownError: there is none of one of these numbers.
        IntegrityError, KeyAccessError: a sealed body cannot be opened.
    """
    found = {ticket.ticket_id: ticket for ticket in tickets_by_id(connection, ids)}
    if lacking := [number for number in ids if number not in found]:
        raise TicketUnknownError(f"There is no ticket {lacking[0]!r}.", cure="`liucun tickets list` shows them.")
    c, f, n, t, e = table.c, finding_table.c, note_table.c, text_table.c, event_table.c
    sealed = _of_each(connection, sa.select(c.ticket_id, c.body), c.ticket_id, ids)
    hits = _of_each(connection, sa.select(f.ticket_id, *_HIT).order_by(f.offset, f.start, f.id), f.ticket_id, ids)
    told = ids if history else ()
    notes = _of_each(connection, sa.select(n.ticket_id, n.at, n.actor, n.body).order_by(n.id), n.ticket_id, told)
    texts = sa.select(t.ticket_id, t.text_blind, t.field, t.offset, t.body).order_by(t.offset, t.field)
    later = _of_each(connection, texts, t.ticket_id, ids)
    events = sa.select(e.subject, e.at, e.kind, e.actor, e.body).order_by(e.id)
    timeline = _of_each(connection, events, e.subject, [f"ticket:{number}" for number in told])
    details = []
    for number in ids:
        body = json.loads(bodies.open(sealed[number][0].body, ticket_context(number)))
        opened = (
            {
                "field": row.field,
                "text": bodies.open(row.body, text_context(number, row.text_blind)).decode("utf-8", "surrogatepass"),
                "offset": row.offset,
            }
            for row in later.get(number, ())
        )
        details.append(
            TicketDetail(
                ticket=found[number],
                user_id=body["user_id"],
                texts=(*body["texts"], *opened),
                findings=tuple(dict(zip(_HIT_NAMES, row[1:], strict=True)) for row in hits.get(number, ())),
                notes=tuple(
                    {
                        "at": row.at,
                        "actor": row.actor,
                        "text": bodies.open(row.body, note_context(number, row.at)).decode(),
                    }
                    for row in notes.get(number, ())
                ),
                details=body.get("details", {}),
                texts_destroyed_by=body.get("destroyed_by"),
                timeline=tuple(
                    {"at": row.at, "kind": row.kind, "actor": row.actor, **json.loads(row.body)}
                    for row in timeline.get(f"ticket:{number}", ())
                ),
            )
        )
    return details


_HIT_NAMES: Final = (
    *("partition", "offset", "field", "rule", "category", "subtype"),
    *("severity", "start", "end", "score", "version"),
)
_HIT: Final = tuple(finding_table.c[name] for name in _HIT_NAMES)


def _of_each(
    connection: sa.Connection, chosen: sa.Select[Any], key: sa.ColumnElement[str], wanted: Sequence[str]
) -> dict[str, list[Any]]:
    """Rows by their first column, which is ``key``, in the order of the query."""
    found: dict[str, list[Any]] = {}
    for begin in range(0, len(wanted), _LOOK_UP):
        part = wanted[begin : begin + _LOOK_UP]
        for row in connection.execute(chosen.where(among(connection, key, part))):
            found.setdefault(row[0], []).append(row)
    return found


_waiting = table.alias("waiting")
_WAITS: Final[dict[Waits, Sequence[sa.ColumnElement[bool]]]] = {
    Waits.POLICE: police_runs(_waiting.c),
    Waits.APPROVAL: (_waiting.c.pending.is_not(None),),
    Waits.APPEAL: (_waiting.c.appealed_at.is_not(None),),
    Waits.CORRECTION: (_waiting.c.state == State.REVERSED.value, _waiting.c.correction_needed.is_(True)),
}
_SAME: Final = ("category", "assignee", "content_id", "severity", "account_blind", "text_blind")
"""Filters that a column of the same name must equal."""


def _conditions(filters: Filters) -> list[sa.ColumnElement[bool]]:
    c = table.c
    same = {name: getattr(filters, name) for name in _SAME}
    found: list[sa.ColumnElement[bool]] = [c[name] == value for name, value in same.items() if value is not None]
    if filters.states is not None:
        found.append(c.state.in_([state.value for state in filters.states]))
    if filters.due_by is not None:
        found.append(due_by(day_of(filters.due_by)))
    if filters.decision is not None:
        found.append(c.decision == filters.decision.value)
    if filters.channel is not None:
        found.append(c.channel == filters.channel.value)
    if filters.missed:
        found += [c.part == int(Part.DISPOSE), c.dispose_by < timestamp()]
    if filters.waits is not None:
        # Few: read by their own index, whatever order the rest is read in.
        few = sa.select(_waiting.c.ticket_id).where(*_WAITS[filters.waits])
        found.append(c.ticket_id.in_(few))
    if filters.nobodys:
        found.append(c.assignee.is_(None))
    if filters.free_for is not None:
        found.append(sa.or_(c.assignee.is_(None), c.assignee == filters.free_for))
    return found
