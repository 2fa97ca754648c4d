"""The queue: two parts, filters, search, saved views, steps on many tickets and taking them back."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access import accounts
from console.access.roles import Right
from console.i18n import mark as _
from console.reading.counting import part_counts, total
from console.reading.texts import excerpts
from console.web.filters import VIEW_COOKIE, Chosen
from console.web.many import say_many
from console.web.pages import disposing
from console.web.pages.sign_in import safe_target
from console.web.render import page, say
from console.web.visit import Gate, Visit
from errors import LiucunError, UsageError
from retention.catalogue.tables import timestamp
from tickets.errors import NothingChosenError
from tickets.queue import get_ticket, list_tickets
from tickets.states import Decision, Part
from tickets.steps.approving import list_approvals
from tickets.steps.bulk import BulkAction

router = APIRouter(prefix="/queue")
Reader = Annotated[Visit, Depends(Gate(Right.QUEUE_READ))]
Worker = Annotated[Visit, Depends(Gate(Right.TICKETS_WORK))]
Text = Annotated[str, Form(max_length=2048)]
PAGE = 50
DISPOSE_ALL = "dispose-all"
"""The button for a disposal of all that the filters show, not of what is ticked."""


@router.get("")
def show(visit: Reader, chosen: Annotated[Chosen, Query()]) -> Response:
    """A page of the queue."""
    return _list(visit, chosen)


def _list(
    visit: Visit,
    chosen: Chosen,
    *,
    status: int = 200,
    error: LiucunError | None = None,
    form: dict[str, Any] | None = None,
) -> Response:
    parts = visit.parts
    with parts.catalogue.read() as connection:
        if chosen.q and (number := _ticket_number(connection, chosen.q)):
            return RedirectResponse(f"/tickets/{number}", status_code=303)
        filters = chosen.filters(connection, parts.bodies, visit.account.actor)
        found = list_tickets(connection, filters, limit=PAGE, offset=(chosen.page - 1) * PAGE)
        counts = part_counts(connection)
        matching = total(connection, filters, counts)
        texts = (
            excerpts(connection, parts.bodies, [ticket.ticket_id for ticket in found])
            if visit.may(Right.CONTENT_READ) and found
            else {}
        )
        views = accounts.views_of(connection, visit.account)
        waiting = list_approvals(connection, limit=20) if visit.may(Right.TICKETS_WORK) else []
        people = [one.name for one in accounts.all_accounts(connection) if Right.TICKETS_WORK in one.permissions]
    response = page(
        visit,
        "queue.html",
        status=status,
        tickets=found,
        total=matching,
        counts=counts,
        texts=texts,
        chosen=chosen,
        views=views,
        waiting=waiting,
        people=people,
        now=timestamp(),
        pages=-(-matching // PAGE),
        Part=Part,
        form=form or {},
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )
    if not chosen.q:
        response.set_cookie(VIEW_COOKIE, chosen.view(), httponly=True, samesite="lax", secure=parts.secure, path="/")
    return response


def _ticket_number(connection: Any, word: str) -> str | None:
    word = word.strip().upper()
    if not word.startswith("T") or len(word) > 32:
        return None
    try:
        return get_ticket(connection, word).ticket_id
    except UsageError:
        return None


@router.post("/bulk")
def bulk(
    visit: Worker,
    ticket: Annotated[list[str] | None, Form()] = None,
    action: Text = "",
    decision: Text = "",
    assignee: Text = "",
    reason: Text = "",
    back: Text = "/queue",
) -> Response:
    """One step on the ticked tickets; the next page can take it back. A disposal shows first what it would do."""
    chosen = Chosen.of_address(back)
    try:
        if action == DISPOSE_ALL:
            return disposing.ask(visit, _filtered(visit, chosen), back)
        if not ticket:
            raise NothingChosenError("No ticket is ticked.", cure="Nothing was changed; tick some.")
        if action == BulkAction.DISPOSE:
            return disposing.ask(visit, ticket, back)
        result = visit.parts.desk(visit.account).bulk(
            _action(action),
            ticket,
            decision=_decision(decision),
            assignee=f"user:{assignee}" if assignee else None,
            reason=reason,
        )
    except LiucunError as error:
        form = {"ticket": ticket or [], "reason": reason, "decision": decision, "assignee": assignee}
        return _list(visit, chosen, status=400, error=error, form=form)
    response = RedirectResponse(safe_target(back), status_code=303)
    say_many(visit, response, result)
    return response


def _filtered(visit: Visit, chosen: Chosen) -> list[str]:
    """The tickets of the filters, the most urgent first, as many as one disposal takes."""
    with visit.parts.catalogue.read() as connection:
        filters = chosen.filters(connection, visit.parts.bodies, visit.account.actor)
        found = list_tickets(connection, filters, limit=disposing.MOST)
    return [ticket.ticket_id for ticket in found]


def _action(word: str) -> BulkAction:
    try:
        return BulkAction(word)
    except ValueError as error:
        raise UsageError(f"There is no step {word[:40]!r}.", cure="Use the buttons of the page.") from error


def _decision(word: str) -> Decision | None:
    try:
        return Decision(word) if word else None
    except ValueError as error:
        raise UsageError(f"There is no decision {word[:40]!r}.", cure="Use the fields of the page.") from error


@router.post("/next")
def take_next(visit: Worker, back: Text = "/queue") -> Response:
    """Take the most urgent free ticket of the filters, and open it."""
    chosen = Chosen.of_address(back)
    with visit.parts.catalogue.read() as connection:
        filters = chosen.filters(connection, visit.parts.bodies, visit.account.actor)
    taken = visit.parts.desk(visit.account).claim_next(filters)
    if taken is None:
        response = RedirectResponse(f"/queue?{urlencode(chosen.query())}", status_code=303)
        visit.say(response, say(visit, _("筛选范围内没有待领取的工单。")), tone="warn")
        return response
    response = RedirectResponse(f"/tickets/{taken.ticket_id}", status_code=303)
    visit.say(response, say(visit, _("已领取。")))
    return response


@router.post("/undo")
def undo(visit: Worker, step: Text = "") -> Response:
    """Take a step on many tickets back."""
    result = visit.parts.desk(visit.account).undo(step)
    response = RedirectResponse("/queue", status_code=303)
    text = say(visit, _("已撤销，%(done)s 张工单恢复原状。")) % {"done": len(result.done)}
    if result.refusals:
        text += " " + say(visit, _("%(n)s 张其间已被改动，保持现状。")) % {"n": len(result.refusals)}
    visit.say(response, text)
    return response


@router.post("/views")
def save_view(visit: Reader, name: Text = "", query: Text = "") -> Response:
    """Keep the filters under a name."""
    chosen = Chosen.of_address(f"/queue?{query}")
    accounts.save_view(visit.parts.catalogue, by=visit.account, name=name, query=urlencode(chosen.query()))
    response = RedirectResponse(f"/queue?{urlencode(chosen.query())}", status_code=303)
    visit.say(response, say(visit, _("视图已保存。")))
    return response


@router.post("/views/drop")
def drop_view(visit: Reader, view_id: Text = "") -> Response:
    """Forget a saved view."""
    accounts.drop_view(visit.parts.catalogue, by=visit.account, view_id=view_id)
    response = RedirectResponse("/queue", status_code=303)
    visit.say(response, say(visit, _("视图已删除。")))
    return response
