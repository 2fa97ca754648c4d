"""Duties beside tickets: what is due to whom and when, with evidence and receipts."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, UploadFile
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access.roles import Right
from console.errors import PageUnknownError
from console.i18n import mark as _
from console.web.render import page, say
from console.web.status import status_of
from console.web.steps import needed_moment
from console.web.visit import Gate, Visit
from errors import LiucunError
from retention.catalogue import events
from retention.catalogue.tables import timestamp
from tickets.clocks import Clock, ClockKind
from tickets.duties import CLOCKS, get_duty, list_duties
from tickets.evidence import open_evidence

router = APIRouter(prefix="/duties")
Reader = Annotated[Visit, Depends(Gate(Right.DUTIES_READ))]
Worker = Annotated[Visit, Depends(Gate(Right.DUTIES_WORK))]
Text = Annotated[str, Form(max_length=2_000)]


@router.get("")
def show(visit: Reader) -> Response:
    """All duties, the next due first."""
    return _list(visit)


def _list(
    visit: Visit, *, status: int = 200, error: LiucunError | None = None, form: dict[str, str] | None = None
) -> Response:
    with visit.parts.catalogue.read() as connection:
        found = list_duties(connection, visit.parts.bodies, state=None)
    return page(
        visit,
        "duties.html",
        status=status,
        duties=found,
        clocks=CLOCKS,
        limits={name: _limit(visit, clock) for name, clock in CLOCKS.items()},
        now=timestamp(),
        form=form or {},
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


_LIMITS: Final = {
    ClockKind.IMMEDIATE: _("立即（目标 %(n)s 分钟内）"),
    ClockKind.HOURS: _("%(n)s 小时内"),
    ClockKind.NATURAL_DAYS: _("%(n)s 个自然日内"),
    ClockKind.WORKING_DAYS: _("%(n)s 个工作日内"),
    ClockKind.MONTHS: _("每 %(n)s 个月"),
    ClockKind.YEARS: _("每 %(n)s 年"),
    ClockKind.BACKWARD_DAYS: _("到期前 %(n)s 日"),
}


def _limit(visit: Visit, clock: Clock) -> str:
    """A clock's rule in words."""
    if clock.kind is ClockKind.WINDOW:
        days = "{:02}-{:02}".format(*clock.opens), "{:02}-{:02}".format(*clock.shuts)
        return say(visit, _("每年 %(first)s 至 %(last)s")) % {"first": days[0], "last": days[1]}
    return say(visit, _LIMITS[clock.kind]) % {"n": clock.amount}


@router.post("")
def add(visit: Worker, kind: Text = "", title: Text = "", start: Text = "") -> Response:
    """Enter a duty."""
    try:
        made = visit.parts.duties(visit.account).add(kind, title, needed_moment(start))
    except LiucunError as error:
        return _list(visit, status=status_of(error), error=error, form={"kind": kind, "title": title, "start": start})
    return _back(visit, made.duty_id, _("事项已登记，到期时间已算出。"))


@router.get("/{duty_id}")
def one(visit: Reader, duty_id: str) -> Response:
    """One duty."""
    return _one(visit, duty_id)


def _one(visit: Visit, duty_id: str, *, status: int = 200, error: LiucunError | None = None) -> Response:
    with visit.parts.catalogue.read() as connection:
        duty = get_duty(connection, visit.parts.bodies, duty_id)
    return page(
        visit,
        "duty.html",
        status=status,
        duty=duty,
        clock=CLOCKS.get(duty.clock),
        now=timestamp(),
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


@router.post("/{duty_id}/evidence")
def evidence(visit: Worker, duty_id: str, file: UploadFile) -> Response:
    """Add a file, sealed."""
    try:
        visit.parts.duties(visit.account).evidence(duty_id, file.filename or "", file.file.read())
    except LiucunError as error:
        return _one(visit, duty_id, status=status_of(error), error=error)
    return _back(visit, duty_id, _("证据已封存。"))


@router.get("/{duty_id}/files/{file_id}")
def download(visit: Worker, duty_id: str, file_id: int) -> Response:
    """A file as it came; that it was taken is an event."""
    parts = visit.parts
    with parts.catalogue.read() as connection:
        duty = get_duty(connection, parts.bodies, duty_id)
        found = next((file for file in duty.files if file.id == file_id), None)
        if found is None:
            raise PageUnknownError("The duty has no such file.", cure="Use the links of the page.")
        _, content = open_evidence(connection, parts.bodies, file_id)
    with parts.catalogue.write(row_locks=True) as connection:
        said = {"file": file_id}
        subject = f"duty:{duty_id}"
        events.append(connection, kind="duty.file_read", actor=visit.account.actor, subject=subject, body=said)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name)}"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.post("/{duty_id}/complete")
def complete(visit: Worker, duty_id: str, receipt: Text = "") -> Response:
    """Close it with the receipt."""
    try:
        visit.parts.duties(visit.account).complete(duty_id, receipt)
    except LiucunError as error:
        return _one(visit, duty_id, status=status_of(error), error=error)
    return _back(visit, duty_id, _("事项已办结。"))


def _back(visit: Visit, duty_id: str, text: str) -> Response:
    response = RedirectResponse(f"/duties/{duty_id}", status_code=303)
    visit.say(response, say(visit, text))
    return response
