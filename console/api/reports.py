"""Reports and duties over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from console.access.roles import Right
from console.api.gate import Caller, Needs
from console.api.models import DraftBody, DutyBody, Number, ReceiptBody, ReportStepBody, plain
from tickets.duties import get_duty, list_duties
from tickets.reports.export import Format
from tickets.reports.filing import EXPORTING
from tickets.reports.register import get_report, list_reports

router = APIRouter()
Reader = Annotated[Caller, Depends(Needs(Right.REPORTS_READ))]
Writer = Annotated[Caller, Depends(Needs(Right.REPORTS_PREPARE))]
Exporter = Annotated[Caller, Depends(Needs(*EXPORTING))]
Head = Annotated[Caller, Depends(Needs(Right.REPORTS_APPROVE))]
DutyReader = Annotated[Caller, Depends(Needs(Right.DUTIES_READ))]
DutyWorker = Annotated[Caller, Depends(Needs(Right.DUTIES_WORK))]


@router.get("/reports", tags=["reports"])
def reports(caller: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> list[dict[str, Any]]:
    """Reports, newest first."""
    with caller.parts.catalogue.read() as connection:
        return [plain(one) for one in list_reports(connection, limit=limit)]


@router.post("/reports", tags=["reports"], status_code=201)
def draft(caller: Writer, body: DraftBody) -> dict[str, Any]:
    """Draft a report of some tickets."""
    book = caller.reports()
    made = book.draft(
        [number.upper() for number in body.tickets],
        recipient=body.recipient,
        summary=body.summary,
        corrects=body.corrects,
    )
    return dict(plain(made))


@router.get("/reports/{report_id}", tags=["reports"])
def report(caller: Reader, report_id: Number) -> dict[str, Any]:
    """One report with the numbers of its tickets."""
    with caller.parts.catalogue.read() as connection:
        return dict(plain(get_report(connection, report_id)))


@router.get(
    "/reports/{report_id}/file",
    tags=["reports"],
    response_class=Response,
    responses={200: {"content": {form.media_type: {} for form in Format}, "description": "The file."}},
)
def file(caller: Exporter, report_id: Number, form: Format = Format.JSON) -> Response:
    """The report as DOCX, PDF, JSON or CSV; it names persons, so taking it is recorded."""
    content = caller.reports().hand_out(report_id, form, door="api")
    return Response(content, media_type=form.media_type)


@router.post("/reports/{report_id}/withdraw", tags=["reports"])
def withdraw(caller: Writer, report_id: Number) -> dict[str, Any]:
    """Take back what did not go out."""
    return dict(plain(caller.reports().withdraw(report_id)))


@router.post("/reports/{report_id}/{step}", tags=["reports"])
def report_step(
    caller: Head, report_id: Number, step: Literal["approve", "submit", "acknowledge", "reject"], body: ReportStepBody
) -> dict[str, Any]:
    """Approve (not by who triaged one of its tickets), submit, acknowledge, reject."""
    book = caller.reports()
    if step == "approve":
        return dict(plain(book.approve_report(report_id)))
    if step == "submit":
        return dict(plain(book.submit(report_id, body.submission, receipt=body.receipt)))
    if step == "acknowledge":
        return dict(plain(book.acknowledge_report(report_id, body.receipt)))
    return dict(plain(book.reject_report(report_id, body.reason)))


@router.get("/duties", tags=["duties"])
def duties(
    caller: DutyReader,
    state: Literal["open", "done", "all"] = "open",
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> list[dict[str, Any]]:
    """Duties beside tickets, the next due first."""
    wanted = None if state == "all" else state
    with caller.parts.catalogue.read() as connection:
        return [plain(one) for one in list_duties(connection, caller.parts.bodies, state=wanted, limit=limit)]


@router.post("/duties", tags=["duties"], status_code=201)
def add_duty(caller: DutyWorker, body: DutyBody) -> dict[str, Any]:
    """Enter a duty; its deadline follows from the kind's clock."""
    return dict(plain(caller.duties().add(body.kind, body.title, body.start)))


@router.get("/duties/{duty_id}", tags=["duties"])
def duty(caller: DutyReader, duty_id: Number) -> dict[str, Any]:
    """One duty."""
    with caller.parts.catalogue.read() as connection:
        return dict(plain(get_duty(connection, caller.parts.bodies, duty_id)))


@router.post("/duties/{duty_id}/complete", tags=["duties"])
def complete_duty(caller: DutyWorker, duty_id: Number, body: ReceiptBody) -> dict[str, Any]:
    """Close a duty with its receipt."""
    return dict(plain(caller.duties().complete(duty_id, body.receipt)))
