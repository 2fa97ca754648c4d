"""A ticket: its text with hits and why, what belongs to it, its clock day by day, its timeline, and every step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access import accounts
from console.access.reveal import REVEALED, reason_of, reveal, revealed
from console.access.roles import Right
from console.errors import PageUnknownError
from console.i18n import mark as _
from console.masking import mask_address, mask_text
from console.reading.neighbours import neighbours
from console.reading.overview import days_left
from console.reading.records import Context, record_context
from console.reading.texts import excerpts, masked_detail, matched, shown_texts
from console.web.filters import VIEW_COOKIE, Chosen
from console.web.many import say_many
from console.web.render import Fields, page, say
from console.web.steps import JUDGING, STEPS, Asked
from console.web.visit import Gate, Visit
from errors import LiucunError, NotPermittedError
from retention.catalogue.tables import timestamp
from tickets.archived import take_out
from tickets.categories import category_of, default_decision
from tickets.clocks import SHANGHAI, TEN_WORKING_DAYS, deadline
from tickets.errors import TicketChangedError
from tickets.evidence import list_evidence
from tickets.queue import Ticket, TicketDetail, get_ticket, ticket_detail
from tickets.reports.register import get_report
from tickets.states import OPEN, TO_DISPOSE, Decision, Measure, Part, State
from tickets.steps.approving import list_approvals
from tickets.steps.bulk import BulkResult
from tickets.steps.joining import MOST, group_of, linked
from tickets.tables_sending import orders, report_tickets, reports

router = APIRouter(prefix="/tickets")
GROUP = 200
"""Tickets of the same or nearly the same text that a page lists: nobody decides what was not shown."""
Reader = Annotated[Visit, Depends(Gate(Right.QUEUE_READ))]
Worker = Annotated[Visit, Depends(Gate(Right.TICKETS_WORK, Right.TICKETS_APPROVE, any_of=True))]
Revealer = Annotated[Visit, Depends(Gate(Right.PERSONAL_REVEAL, Right.CONTENT_READ_FOR_PURPOSE, any_of=True))]
Recorder = Annotated[Visit, Depends(Gate(Right.CONTENT_READ))]
Text = Annotated[str, Form(max_length=20_000)]


@dataclass(frozen=True, slots=True)
class CountedDay:
    """A working day of the clock: ``kind`` is past, today, ahead or due."""

    number: int
    day: date
    kind: str


@router.get("/{ticket_id}")
def show(visit: Reader, ticket_id: str) -> Response:
    """The page."""
    return _page(visit, ticket_id)


@router.post("/{ticket_id}/reveal")
def unmask(visit: Revealer, ticket_id: str, reason: Text = "") -> Response:
    """Show personal data for a quarter of an hour, after a reason; for an auditor, the text after a purpose."""
    assert visit.session is not None
    with visit.parts.catalogue.read() as connection:
        get_ticket(connection, ticket_id)
    may = visit.may(Right.PERSONAL_REVEAL)
    kind = REVEALED if may else "content.read"
    try:
        reveal(visit.parts.catalogue, visit.parts.bodies, visit.session, f"ticket:{ticket_id}", reason, kind=kind)
    except LiucunError as error:
        return _page(visit, ticket_id, status=400, error=error, step="reveal", form={"reason": reason})
    return RedirectResponse(f"/tickets/{ticket_id}", status_code=303)


@router.post("/{ticket_id}/record")
def record(visit: Recorder, ticket_id: str, reason: Text = "") -> Response:
    """The record in the archive and what its account did around it; a query with a purpose."""
    with visit.parts.catalogue.read() as connection:
        ticket = get_ticket(connection, ticket_id)
    try:
        context = record_context(visit.parts, ticket, visit.account, reason)
    except LiucunError as error:
        return _page(visit, ticket_id, status=400, error=error, step="record", form={"reason": reason})
    return _page(visit, ticket_id, context=context)


@router.get("/{ticket_id}/evidence/{file_id}")
def evidence(visit: Recorder, ticket_id: str, file_id: int) -> Response:
    """A sealed package as it was sealed, for who gave a reason to see the ticket unmasked; that it was taken out is an
    event with that reason."""
    assert visit.session is not None
    parts = visit.parts
    with parts.catalogue.read() as connection:
        get_ticket(connection, ticket_id)
        reason = reason_of(connection, parts.bodies, visit.session, f"ticket:{ticket_id}")
    if reason is None or not visit.may(Right.PERSONAL_REVEAL):
        error = NotPermittedError(
            "Evidence shows personal data.", cure="Give a reason to see the ticket unmasked first, then take it."
        )
        return _page(visit, ticket_id, status=403, error=error, step="reveal")
    try:
        taken = take_out(
            parts.catalogue,
            parts.bodies,
            parts.archive,
            ticket_id,
            actor=visit.account.actor,
            purpose=reason,
            only=[file_id],
        )
    except LiucunError as error:
        from console.web.status import status_of

        return _page(visit, ticket_id, status=status_of(error), error=error)
    name = f"{ticket_id}-{taken[0].file.name}"
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(taken[0].content, media_type="application/json", headers=headers)


@router.post("/{ticket_id}/{step}")
async def take_step(request: Request, visit: Worker, ticket_id: str, step: str) -> Response:
    """One step; on failure the page comes back with what was typed."""
    from starlette.concurrency import run_in_threadpool

    if step not in STEPS:
        raise PageUnknownError("There is no such step.", cure="Use the buttons of the page.")
    fields = {name: value[:20_000] for name, value in (await request.form()).items() if isinstance(value, str)}
    return await run_in_threadpool(_step, visit, ticket_id, step, Fields(fields))


def _step(visit: Visit, ticket_id: str, step: str, form: Fields) -> Response:
    call, done = STEPS[step]
    desk = visit.parts.desk(visit.account)
    with visit.parts.catalogue.read() as connection:
        ticket = get_ticket(connection, ticket_id)
    try:
        if step in JUDGING and form["version"] and form["version"] != str(ticket.version):
            raise TicketChangedError(
                f"The ticket {ticket_id} changed since this page was opened.",
                cure="Look at it as it is now; what you typed is kept below.",
            )
        outcome = call(Asked(desk, ticket_id, form))
    except LiucunError as error:
        from console.web.status import status_of

        return _page(visit, ticket_id, status=status_of(error), error=error, step=step, form=form)
    response = RedirectResponse(f"/tickets/{ticket_id}", status_code=303)
    if isinstance(outcome, BulkResult):
        say_many(visit, response, outcome)
        return response
    with visit.parts.catalogue.read() as connection:
        after = get_ticket(connection, ticket_id)
    text = _("已提请另一个人复核。") if after.pending and not ticket.pending else done
    visit.say(response, say(visit, text))
    return response


def _page(
    visit: Visit,
    ticket_id: str,
    *,
    status: int = 200,
    error: LiucunError | None = None,
    step: str = "",
    form: dict[str, str] | None = None,
    context: Context | None = None,
) -> Response:
    assert visit.session is not None
    parts = visit.parts
    calendar = parts.calendar()
    with parts.catalogue.read() as connection:
        detail = ticket_detail(connection, parts.bodies, ticket_id)
        ticket = detail.ticket
        open_now = revealed(connection, visit.session, f"ticket:{ticket_id}")
        readable = visit.may(Right.CONTENT_READ) or (open_now and visit.may(Right.CONTENT_READ_FOR_PURPOSE))
        masked = not (open_now and (visit.may(Right.PERSONAL_REVEAL) or readable))
        related = linked(connection, ticket_id)
        group: list[Ticket] = []
        more, said = False, {}
        if visit.may(Right.CONTENT_READ):
            group, more = _group(connection, ticket)
            shown = {one.ticket_id for one in (*(one.ticket for one in related[:MOST]), *group)}
            said = excerpts(connection, parts.bodies, sorted(shown))
        view = Chosen.of_address(f"?{visit.request.cookies.get(VIEW_COOKIE, '')}")
        worker = visit.account.actor if visit.may(Right.TICKETS_WORK) else None
        filters = view.filters(connection, parts.bodies, visit.account.actor)
        beside = neighbours(connection, filters, ticket, worker=worker)
        values: dict[str, Any] = {
            "related": related,
            "excerpts": said,
            "group": [one for one in group if one.ticket_id in said],
            "more": more,
            "orders": connection.execute(
                sa.select(orders).where(orders.c.ticket_id == ticket_id).order_by(orders.c.ordered_at)
            ).all(),
            "approvals": list_approvals(connection, ticket_id=ticket_id),
            "evidence": list_evidence(connection, [f"ticket:{ticket_id}"]),
            "report": get_report(connection, ticket.report_id) if ticket.report_id else None,
            "draft": _live_draft(connection, ticket_id),
            "people": [o.name for o in accounts.all_accounts(connection) if Right.TICKETS_WORK in o.permissions],
            "beside": beside,
            "view": view.view(),
        }
    return page(
        visit,
        "ticket.html",
        status=status,
        detail=(masked_detail(detail) if masked else detail) if readable else None,
        ticket=ticket,
        texts=shown_texts(detail.texts, detail.findings, masked=masked) if readable else (),
        destroyed_by=detail.texts_destroyed_by,
        why=_why(detail, masked=masked, readable=readable),
        notes=[{**note, "text": mask_text(note["text"]) if masked else note["text"]} for note in detail.notes],
        timeline=[Fields(event) for event in detail.timeline],
        masked=masked,
        readable=readable,
        days=_days(visit, ticket),
        left=days_left(calendar, datetime.now(SHANGHAI).date(), date.fromisoformat(ticket.due_on))
        if ticket.due_on and ticket.part != int(Part.REST)
        else None,
        now=timestamp(),
        default=default_decision(ticket.category, ticket.subtype, parts.tickets.defaults).value,
        category=category_of(ticket.category),
        decisions=tuple(Decision),
        measures=tuple(Measure),
        is_open=ticket.state in {state.value for state in OPEN},
        to_dispose=ticket.state in {state.value for state in TO_DISPOSE},
        platform=bool(parts.tickets.platform.url),
        context=_shown_context(context, masked=masked),
        step=step,
        form=Fields(form or {}),
        failed=say(visit, labels.error_text(error)) if error else None,
        detail_text=str(error) if error else None,
        **values,
    )


def _group(connection: sa.Connection, ticket: Ticket) -> tuple[list[Ticket], bool]:
    """The undecided tickets of a ticket's text that its page lists, which one decision may serve; whether more are."""
    if ticket.state not in (State.DETECTED, State.TRIAGE):
        return [], False
    found = group_of(connection, ticket.ticket_id, limit=GROUP + 1)
    return found[:GROUP], len(found) > GROUP


def _live_draft(connection: sa.Connection, ticket_id: str) -> str | None:
    """The report to the telecom authority that holds a ticket and has not gone out."""
    found = (
        sa.select(reports.c.report_id)
        .join(report_tickets, report_tickets.c.report_id == reports.c.report_id)
        .where(
            report_tickets.c.ticket_id == ticket_id,
            reports.c.state.in_(("draft", "approved")),
            reports.c.recipient == "telecom",
        )
        .order_by(reports.c.created_at.desc())
    )
    return connection.execute(found.limit(1)).scalar_one_or_none()


def _why(detail: TicketDetail, *, masked: bool, readable: bool) -> list[dict[str, Any]]:
    return [
        {**finding, "words": matched(detail.texts, finding, masked=masked) if readable else "…"}
        for finding in detail.findings
    ]


def _days(visit: Visit, ticket: Ticket) -> list[CountedDay]:
    """The ten working days one by one."""
    started = ticket.effective_at or ticket.ordered_at
    if not started or ticket.decision != Decision.ILLEGAL or not ticket.due_on:
        return []
    today = datetime.now(UTC).astimezone(SHANGHAI).date()
    counted = deadline(TEN_WORKING_DAYS, datetime.fromisoformat(started), visit.parts.calendar())
    last = len(counted.days)
    return [
        CountedDay(n, day, "due" if n == last else "past" if day < today else "today" if day == today else "ahead")
        for n, day in enumerate(counted.days, 1)
    ]


def _shown_context(context: Context | None, *, masked: bool) -> Context | None:
    if context is None or not masked:
        return context
    from console.masking import mask_account

    def shown(name: str, value: Any) -> Any:
        if name == "user_id":
            return mask_account(str(value))
        if name == "source_ip":
            return mask_address(str(value))
        return mask_text(value) if isinstance(value, str) and name == "text" else value

    records = tuple({name: shown(name, value) for name, value in row.items()} for row in context.records)
    return Context(records, context.seconds, context.segments)
