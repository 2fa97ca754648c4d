"""Human review 人工抽检: one sampled text after the other, harmless or illegal; and the miss rate that follows."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access.roles import Right
from console.i18n import mark as _
from console.masking import mask_text
from console.parts import actor_of
from console.web.render import page, say
from console.web.status import status_of
from console.web.visit import Gate, Visit
from errors import LiucunError, UsageError
from tickets.samples.judge import get_sample, judge, list_samples, next_shown, show
from tickets.samples.standing import standing
from tickets.samples.tables import HARMLESS, ILLEGAL

router = APIRouter(prefix="/review")
Looker = Annotated[Visit, Depends(Gate(Right.CONTENT_READ))]
Judge = Annotated[Visit, Depends(Gate(Right.TICKETS_WORK))]
RECENT = 10
WEEKS = 8


@router.get("")
def show_next(visit: Looker, sample: Annotated[str, Query(max_length=40)] = "") -> Response:
    """The next sample that waits, or the one asked for; the rate; what was decided last."""
    return _page(visit, sample=sample)


@router.post("/{sample_id}")
def decide(
    visit: Judge,
    sample_id: str,
    verdict: Annotated[str, Form(max_length=32)] = "",
    category: Annotated[str, Form(max_length=64)] = "",
    version: Annotated[int, Form(ge=0)] = 0,
) -> Response:
    """Decide, and go on with the next one."""
    try:
        if verdict not in {HARMLESS, ILLEGAL}:
            raise UsageError("The verdict is missing.", cure="Say harmless or illegal.")
        if verdict == ILLEGAL and not category:
            raise UsageError("The category is missing.", cure="Choose one.")
        found = judge(
            visit.parts,
            visit.parts.bodies,
            sample_id,
            actor=actor_of(visit.account),
            category=category if verdict == ILLEGAL else None,
            version=version,
            settings=visit.parts.tickets,
        )
    except LiucunError as error:
        return _page(visit, status=status_of(error), error=error, category=category)
    response = RedirectResponse("/review", status_code=303)
    visit.say(response, say(visit, _("已判为漏检，并已立案。") if found.ticket_id else _("已判为无害。")))
    return response


def _page(
    visit: Visit, *, sample: str = "", status: int = 200, error: LiucunError | None = None, category: str = ""
) -> Response:
    parts, actor = visit.parts, visit.account.actor
    shown = None
    try:
        if sample:
            with parts.catalogue.read() as connection:
                asked = get_sample(connection, sample)
            shown = show(parts, asked, actor=actor)
        else:
            shown = next_shown(parts, actor=actor)
    except LiucunError as failed:
        error, status = error or failed, status if error else status_of(failed)
    with parts.catalogue.read() as connection:
        now = standing(connection)
        last = list_samples(connection, states=(HARMLESS, ILLEGAL), newest=True, limit=RECENT)
    values: dict[str, Any] = {
        "weeks": dict(list(now.by_week.items())[-WEEKS:]),
        "types": now.by_type,
        "total": now.total,
        "waiting": now.waiting,
    }
    return page(
        visit,
        "review.html",
        status=status,
        shown=shown,
        text=mask_text(shown.text) if shown else "",
        last=last,
        category=category,
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
        **values,
    )
