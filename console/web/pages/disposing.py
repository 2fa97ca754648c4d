"""One disposal of many tickets: what it would do and leave out, shown before; then the step, which has no undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access.roles import Right
from console.web import steps
from console.web.many import reasons_of, say_many
from console.web.pages.sign_in import safe_target
from console.web.render import page, say
from console.web.visit import Gate, Visit
from errors import LiucunError
from tickets.queue import tickets_by_id
from tickets.sealing import with_merged
from tickets.states import Measure
from tickets.steps.bulk import BulkAction, BulkResult

router = APIRouter(prefix="/queue")
Worker = Annotated[Visit, Depends(Gate(Right.TICKETS_WORK))]
Text = Annotated[str, Form(max_length=2048)]
MOST = steps.MOST
"""Tickets that one form may dispose of."""
SHOWN = 50
"""Tickets that the page lists; the form holds all of them."""


def ask(
    visit: Visit,
    ids: Sequence[str],
    back: str,
    *,
    error: LiucunError | None = None,
    form: dict[str, str] | None = None,
) -> Response:
    """What a disposal of these tickets would do and what it would leave out, with the form that orders it."""
    parts = visit.parts
    desk = parts.desk(visit.account)
    found = desk.preview(BulkAction.DISPOSE, ids) if ids or not error else BulkResult(None, None, (), ())
    with parts.catalogue.read() as connection:
        shown = tickets_by_id(connection, found.done[:SHOWN])
        merged = sum(len(group) - 1 for group in with_merged(connection, found.done).values())
    return page(
        visit,
        "dispose.html",
        status=400 if error else 200,
        numbers=found.done,
        shown=shown,
        merged=merged,
        left=len(found.refusals),
        reasons=reasons_of(visit, found),
        measures=list(Measure),
        platform=parts.tickets.platform.takes_orders,
        back=safe_target(back),
        form=form or {},
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


@router.post("/dispose")
def dispose(
    visit: Worker,
    tickets: Annotated[str, Form(max_length=40_000)] = "",
    measure: Text = "",
    effective_at: Text = "",
    reason: Annotated[str, Form(max_length=20_000)] = "",
    back: Text = "/queue",
) -> Response:
    """Dispose of the tickets that the form names: evidence of all sealed first, one order a ticket."""
    ids = steps.numbers(tickets)
    try:
        result = visit.parts.desk(visit.account).bulk(
            BulkAction.DISPOSE,
            ids,
            measure=steps.measure(measure),
            effective_at=steps.moment(effective_at),
            reason=reason,
        )
    except LiucunError as error:
        form = {"measure": measure, "effective_at": effective_at, "reason": reason}
        return ask(visit, ids, back, error=error, form=form)
    response = RedirectResponse(safe_target(back), status_code=303)
    say_many(visit, response, result)
    return response
