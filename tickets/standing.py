"""What a report means for its tickets: whether it ends their days, who was told, what is to be corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from retention.catalogue.sets import among
from retention.catalogue.tables import events
from tickets.errors import ReportError
from tickets.queue import Ticket
from tickets.states import DISPOSED, Decision, State
from tickets.tables_sending import report_tickets, reports

TELECOM: Final = "telecom"
POLICE: Final = "police"
OUT: Final = ("submitted", "acknowledged")
"""States of a report that went out and stands."""
CORRECTED_OUTSIDE: Final = "ticket.corrected_outside"


def ends_the_days(recipient: str, ticket: Ticket) -> bool:
    """Whether a report to ``recipient`` is the one that is owed of a ticket, so that it is reported then.

    What is 违法 is owed to the telecom authority within ten working days (licence, special provision 9): whoever else
    is told, those days run on. What is 不良 goes to the authority that is competent for it (生态治理规定 art. 10).
    """
    return recipient != POLICE and (recipient == TELECOM or ticket.decision != Decision.ILLEGAL)


def told(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[tuple[str, str, str]]]:
    """By ticket: (report, recipient, time of submission) of what went out about it and stands, corrections left out."""
    r, t = reports.c, report_tickets.c
    rows = connection.execute(
        sa.select(t.ticket_id, r.report_id, r.recipient, r.submitted_at)
        .join(reports, r.report_id == t.report_id)
        .where(among(connection, t.ticket_id, list(ids)), r.state.in_(OUT), r.corrects.is_(None))
        .order_by(r.submitted_at, r.report_id)
    )
    found: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        found.setdefault(row.ticket_id, []).append((row.report_id, row.recipient, row.submitted_at))
    return found


def uncorrected(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """By ticket: the reports that went out about it and that no correction which went out names it for."""
    r, t = reports.c, report_tickets.c
    corrected = {
        (row.ticket_id, row.corrects)
        for row in connection.execute(
            sa.select(t.ticket_id, r.corrects)
            .join(reports, r.report_id == t.report_id)
            .where(among(connection, t.ticket_id, list(ids)), r.state.in_(OUT), r.corrects.is_not(None))
        )
    }
    return {
        ticket_id: left
        for ticket_id, those in told(connection, ids).items()
        if (left := [number for number, _, _ in those if (ticket_id, number) not in corrected])
    }


def told_outside(ticket: Ticket, those: Sequence[tuple[str, str, str]]) -> tuple[str, ...]:
    """Who was told of a ticket in no report made here; ``those``: what ``told`` finds of it."""
    telecom = ticket.reported_at is not None and ticket.report_id is None
    police = ticket.police_reported_at is not None and all(recipient != POLICE for _, recipient, _ in those)
    return tuple(name for name, is_so in ((TELECOM, telecom), (POLICE, police)) if is_so)


def corrected_outside(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    """Of which tickets a correction is on record that was made outside, to all who were told outside."""
    subjects = [f"ticket:{number}" for number in ids]
    about = among(connection, events.c.subject, subjects)
    found = sa.select(events.c.subject).where(events.c.kind == CORRECTED_OUTSIDE, about)
    return {subject.removeprefix("ticket:") for subject in connection.execute(found).scalars()}


def still_to_correct(connection: sa.Connection, those: Sequence[Ticket], *, but: str | None) -> set[str]:
    """Of which of some reversed tickets somebody is still to be told, when the report ``but`` asks for nothing more."""
    ids = [ticket.ticket_id for ticket in those]
    out, left, settled = told(connection, ids), uncorrected(connection, ids), corrected_outside(connection, ids)
    return {
        ticket.ticket_id
        for ticket in those
        if any(number != but for number in left.get(ticket.ticket_id, ()))
        or (ticket.ticket_id not in settled and told_outside(ticket, out.get(ticket.ticket_id, ())))
    }


def to_correct(connection: sa.Connection, report_id: str, those: Sequence[Ticket]) -> list[Ticket]:
    """Which of some tickets a correction of a report is to name: taken back since, and not corrected there yet."""
    waiting = [ticket for ticket in those if ticket.state == State.REVERSED and ticket.correction_needed]
    left = uncorrected(connection, [ticket.ticket_id for ticket in waiting])
    return [ticket for ticket in waiting if report_id in left.get(ticket.ticket_id, ())]


def check_reportable(ticket: Ticket, recipient: str) -> None:
    """Check that a ticket may stand in a first report to a recipient.

    Raises:
        ReportError: it may not; the message says why.
    """
    wrong: str | None = None
    if recipient == POLICE:
        if ticket.police_due_at is None or ticket.police_reported_at is not None:
            wrong = "has no police clock that runs"
    elif ticket.state != State.DISPOSED and (ends_the_days(recipient, ticket) or ticket.state not in DISPOSED):
        wrong = f"is {ticket.state} ({State(ticket.state).chinese}), not disposed of"
    elif ticket.decision == Decision.VIOLATION and ticket.own_due_at is None:
        wrong = "is 违规: there is no report of it"
    elif ticket.effective_at is None:
        wrong = "was not acknowledged by the platform yet"
    if wrong is not None:
        raise not_reportable(ticket, wrong)


def not_reportable(ticket: Ticket, wrong: str) -> ReportError:
    """The error that says what is wrong with a ticket for a report."""
    return ReportError(f"The ticket {ticket.ticket_id} {wrong}.", cure="Leave it out, or settle that first.")


def due_of(recipient: str, ticket: Ticket) -> str | None:
    """When a report of a ticket to a recipient is due, if a time is set for it."""
    if recipient == POLICE:
        return ticket.police_due_at
    return ticket.due_at if ends_the_days(recipient, ticket) else ticket.own_due_at


def other_bodies(
    ticket: Ticket, those: Sequence[tuple[str, str, str]], recipient: str, names: Mapping[str, str]
) -> list[tuple[str, str]]:
    """(Name, time) of the bodies beside ``recipient`` that were told of a ticket, here or outside."""
    outside = {TELECOM: ticket.reported_at, POLICE: ticket.police_reported_at}
    found = [(name, at) for name in told_outside(ticket, those) if (at := outside[name]) is not None]
    return [(names.get(to, to), at) for to, at in [*found, *((to, at) for _, to, at in those)] if to != recipient]
