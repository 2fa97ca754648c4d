"""Tickets and findings over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query

from console.access.reveal import REVEALED
from console.access.roles import Right
from console.api.gate import Caller, Needs
from console.api.models import BulkBody, FindingBody, Number, Page, StepBody, UndoBody, plain
from console.reading.counting import part_counts, total
from console.reading.texts import masked_detail
from console.web.filters import Chosen
from console.web.steps import STEPS, Asked
from retention.catalogue import events
from tickets.errors import TicketChangedError
from tickets.queue import get_ticket, list_tickets, ticket_detail
from tickets.steps.approving import list_approvals
from tickets.steps.bulk import BulkResult
from tickets.steps.joining import linked
from tickets.steps.opening import ManualFinding

router = APIRouter(tags=["tickets"])
Reader = Annotated[Caller, Depends(Needs(Right.QUEUE_READ))]
Worker = Annotated[Caller, Depends(Needs(Right.TICKETS_WORK, Right.TICKETS_APPROVE, any_of=True))]
Bulker = Annotated[Caller, Depends(Needs(Right.TICKETS_WORK))]
Opener = Annotated[Caller, Depends(Needs(Right.TICKETS_OPEN))]
StepName = Literal[
    "claim", "take-over", "release", "assign", "confirm", "dismiss", "dispose", "order", "order-done",
    "order-refused", "effective",
    "approve", "refuse", "report", "police", "corrected", "reject", "acknowledge", "close",
    "appeal", "appeal-reject", "reverse",
    "note", "reach", "link", "unlink", "merge",
]  # fmt: skip


@router.get("/tickets")
def tickets(
    caller: Reader,
    chosen: Annotated[Chosen, Query()],
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Page:
    """Tickets in the order in which they want work: first what is to be disposed of, then what is to be reported."""
    with caller.parts.catalogue.read() as connection:
        filters = chosen.filters(connection, caller.parts.bodies, caller.account.actor)
        found = list_tickets(connection, filters, limit=limit, offset=(chosen.page - 1) * limit)
        matching = total(connection, filters, part_counts(connection))
    return Page(total=matching, items=[plain(ticket) for ticket in found])


@router.get("/tickets/{ticket_id}")
def ticket(
    caller: Reader,
    ticket_id: Number,
    liucun_purpose: Annotated[str | None, Header(max_length=1000)] = None,
) -> dict[str, Any]:
    """One ticket. Text and account come masked; with the header ``Liucun-Purpose`` as they are, which is recorded."""
    parts = caller.parts
    with parts.catalogue.read() as connection:
        detail = ticket_detail(connection, parts.bodies, ticket_id)
        related = linked(connection, ticket_id)
    readable, masked = caller.may(Right.CONTENT_READ), True
    purpose = (liucun_purpose or "").strip()
    if purpose and (caller.may(Right.PERSONAL_REVEAL) or caller.may(Right.CONTENT_READ_FOR_PURPOSE)):
        _record(caller, ticket_id, purpose)
        readable, masked = True, False
    detail = masked_detail(detail) if masked else detail
    return {
        "ticket": plain(detail.ticket),
        "masked": masked,
        "texts": list(detail.texts) if readable else [],
        "user_id": detail.user_id if readable else None,
        "findings": list(detail.findings),
        "notes": list(detail.notes) if readable else [],
        "texts_destroyed_by": detail.texts_destroyed_by,
        "timeline": list(detail.timeline),
        "related": [{"kind": one.kind, "likeness": one.likeness, "ticket": one.ticket.ticket_id} for one in related],
    }


def _record(caller: Caller, ticket_id: str, purpose: str) -> None:
    import base64
    import secrets

    number = secrets.token_hex(8)
    sealed = caller.parts.bodies.seal(purpose.encode("utf-8", "replace"), f"console reveal\x00{number}".encode())
    body = {"reveal": number, "reason_sealed": base64.b64encode(sealed).decode(), "by": "api"}
    kind = REVEALED if caller.may(Right.PERSONAL_REVEAL) else "content.read"
    with caller.parts.catalogue.write(row_locks=True) as connection:
        events.append(connection, kind=kind, actor=caller.account.actor, subject=f"ticket:{ticket_id}", body=body)


@router.post("/tickets/{ticket_id}/steps/{step}")
def step(caller: Worker, ticket_id: Number, step: StepName, body: StepBody) -> dict[str, Any]:
    """Take a step; the ticket as it is then, of a group also ``many``: what was done, what not and why.

    Rights, states and second persons are checked as in the console.
    """
    with caller.parts.catalogue.read() as connection:
        before = get_ticket(connection, ticket_id)
    if body.version is not None and body.version != before.version:
        raise TicketChangedError(f"The ticket {ticket_id} is of version {before.version}.", cure="Read it again.")
    call, _ = STEPS[step]
    outcome = call(Asked(caller.desk(), ticket_id, body.form()))
    many = {"many": outcome.as_json()} if isinstance(outcome, BulkResult) else {}
    with caller.parts.catalogue.read() as connection:
        return {**plain(get_ticket(connection, ticket_id)), **many}


@router.post("/tickets/next")
def take_next(caller: Bulker, chosen: Annotated[Chosen, Query()]) -> dict[str, Any]:
    """Take the most urgent ticket of the filters that nobody has: `{"ticket": …}`, null when there is none."""
    with caller.parts.catalogue.read() as connection:
        filters = chosen.filters(connection, caller.parts.bodies, caller.account.actor)
    taken = caller.desk().claim_next(filters)
    return {"ticket": None if taken is None else plain(taken)}


@router.post("/bulk")
def bulk(caller: Bulker, body: BulkBody) -> dict[str, Any]:
    """One step on many tickets; ``token`` takes it back until ``until``.

    Both are null of a disposal, which cannot be taken back, and of a ``preview``, which changes nothing.
    """
    desk = caller.desk()
    step = desk.preview if body.preview else partial(desk.bulk, reason=body.reason)
    result = step(
        body.action,
        body.tickets,
        decision=body.decision,
        assignee=f"user:{body.assignee}" if body.assignee else None,
        measure=body.measure,
        effective_at=body.effective_at,
    )
    return result.as_json()


@router.post("/bulk/undo")
def undo(caller: Bulker, body: UndoBody) -> dict[str, Any]:
    """Take a step on many tickets back."""
    return caller.desk().undo(body.token).as_json()


@router.get("/approvals")
def approvals(caller: Bulker, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> list[dict[str, Any]]:
    """What waits for a second person."""
    with caller.parts.catalogue.read() as connection:
        return [plain(one) for one in list_approvals(connection, limit=limit)]


@router.post("/findings", status_code=201)
def findings(caller: Opener, body: FindingBody) -> dict[str, Any]:
    """Open a ticket for what no text detector sees, or extend the open one of the same (source, content_id)."""
    finding = ManualFinding(channel=body.found_by, **body.model_dump(exclude={"channel"}))
    return dict(plain(caller.desk().open_manual(finding)))
