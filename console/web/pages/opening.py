"""Opening a ticket by hand: complaints, orders of an authority, verdicts of outside engines, one's own finding."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access.roles import Right
from console.i18n import mark as _
from console.web.render import Fields, page, say
from console.web.status import status_of
from console.web.steps import count, moment
from console.web.visit import Gate, Visit
from errors import LiucunError, UsageError
from tickets.states import Channel
from tickets.steps.opening import BY_HAND, ManualFinding

router = APIRouter()
Opener = Annotated[Visit, Depends(Gate(Right.TICKETS_OPEN))]
Text = Annotated[str, Form(max_length=200_000)]


@router.get("/open")
def form(visit: Opener) -> Response:
    """The form."""
    return _page(visit, {})


def _page(visit: Visit, form: dict[str, str], *, status: int = 200, error: LiucunError | None = None) -> Response:
    return page(
        visit,
        "open.html",
        status=status,
        form=Fields(form),
        channels=sorted(BY_HAND),
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


@router.post("/open")
def create(
    visit: Opener,
    channel: Text = "",
    category: Text = "",
    text: Text = "",
    severity: Text = "3",
    content_id: Text = "",
    user_id: Text = "",
    url: Text = "",
    reference: Text = "",
    reach: Text = "0",
    event_time: Text = "",
    own_due_at: Text = "",
    blocked_at: Text = "",
) -> Response:
    """Open it, or extend the open one of the same content."""
    given = {
        "channel": channel, "category": category, "text": text, "severity": severity, "content_id": content_id,
        "user_id": user_id, "url": url, "reference": reference, "reach": reach, "event_time": event_time,
        "own_due_at": own_due_at, "blocked_at": blocked_at,
    }  # fmt: skip
    try:
        finding = ManualFinding(
            channel=_channel(channel),
            category=category,
            text=text.replace("\r\n", "\n"),
            severity=count(severity or "3"),
            content_id=content_id.strip() or None,
            user_id=user_id.strip() or None,
            url=url.strip(),
            reference=reference.strip(),
            reach=count(reach or "0"),
            event_time=moment(event_time),
            own_due_at=moment(own_due_at),
            blocked_at=moment(blocked_at),
        )
        ticket = visit.parts.desk(visit.account).open_manual(finding)
    except LiucunError as error:
        return _page(visit, given, status=status_of(error), error=error)
    response = RedirectResponse(f"/tickets/{ticket.ticket_id}", status_code=303)
    visit.say(response, say(visit, _("已立案。")))
    return response


def _channel(word: str) -> Channel:
    try:
        return Channel(word)
    except ValueError as error:
        raise UsageError("A channel of discovery is missing.", cure="Choose one.") from error
