"""Reports to authorities: drafted from tickets, approved by another person, submitted, answered, corrected."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access.roles import Right
from console.errors import PageUnknownError
from console.i18n import mark as _
from console.reading.company import DUTIES, FIELDS, details
from console.web.render import page, say
from console.web.status import status_of
from console.web.visit import Gate, Visit
from errors import LiucunError, SettingsError
from retention.catalogue.tables import timestamp
from tickets.queue import tickets_by_id
from tickets.reports.export import Format
from tickets.reports.filing import EXPORTING, ReportBook
from tickets.reports.register import get_report, list_reports, open_report
from tickets.reports.templates import templates, templates_of
from tickets.standing import OUT, to_correct

router = APIRouter(prefix="/reports")
Reader = Annotated[Visit, Depends(Gate(Right.REPORTS_READ))]
Writer = Annotated[Visit, Depends(Gate(Right.REPORTS_PREPARE))]
Exporter = Annotated[Visit, Depends(Gate(*EXPORTING))]
Head = Annotated[Visit, Depends(Gate(Right.REPORTS_APPROVE))]
Text = Annotated[str, Form(max_length=10_000)]


@router.get("")
def show(visit: Reader) -> Response:
    """All reports, newest first."""
    return _list(visit)


def _list(
    visit: Visit, *, status: int = 200, error: LiucunError | None = None, form: dict[str, Any] | None = None
) -> Response:
    parts = visit.parts
    with parts.catalogue.read() as connection:
        found = list_reports(connection)
    try:
        laid_out = templates(templates_of(parts.root, parts.company.report_templates))
    except SettingsError as damaged:
        laid_out, status, error = {}, 500, error or damaged
    return page(
        visit,
        "reports.html",
        status=status,
        reports=found,
        now=timestamp(),
        company=details(parts.company, laid_out),
        fields=FIELDS,
        duties=DUTIES,
        names={**{name: template.recipient for name, template in laid_out.items()}, **labels.RECIPIENTS},
        recipients=list(laid_out),
        form=form or {},
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


@router.post("/draft")
def draft(
    visit: Writer,
    ticket: Annotated[list[str] | None, Form()] = None,
    tickets: Text = "",
    recipient: Text = "telecom",
    summary: Text = "",
    corrects: Text = "",
) -> Response:
    """Draft a report of some tickets."""
    ids = [*(ticket or []), *tickets.replace(",", " ").replace("，", " ").replace("、", " ").upper().split()]
    book = visit.parts.reports(visit.account)
    try:
        made = book.draft(ids, recipient=recipient, summary=summary, corrects=corrects or None)
    except LiucunError as error:
        form = {"tickets": " ".join(ids), "recipient": recipient, "summary": summary, "corrects": corrects}
        return _list(visit, status=status_of(error), error=error, form=form)
    response = RedirectResponse(f"/reports/{made.report_id}", status_code=303)
    visit.say(response, say(visit, _("报告已起草，等待批准。")))
    return response


@router.get("/{report_id}")
def one(visit: Reader, report_id: str) -> Response:
    """One report with its tickets and the next step."""
    return _one(visit, report_id)


def _one(visit: Visit, report_id: str, *, status: int = 200, error: LiucunError | None = None) -> Response:
    with visit.parts.catalogue.read() as connection:
        report = get_report(connection, report_id)
        may = visit.may(Right.CONTENT_READ) and report.texts_gone is None
        data = open_report(connection, visit.parts.bodies, report_id) if may else None
        covered = tickets_by_id(connection, report.tickets)
        first = report.corrects is None and report.state in OUT
        correct = to_correct(connection, report_id, covered) if first else []
    return page(
        visit,
        "report.html",
        status=status,
        report=report,
        data=data,
        tickets=covered,
        correct=correct,
        now=timestamp(),
        formats=tuple(Format) if all(visit.may(right) for right in EXPORTING) else (),
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


@router.get("/{report_id}/file/{form}")
def file(visit: Exporter, report_id: str, form: str) -> Response:
    """The report as a file; that it was taken is an event, for it names persons."""
    if form not in set(Format):
        raise PageUnknownError("There is no such form of a report.", cure="Use the links of the page.")
    wanted = Format(form)
    content = visit.parts.reports(visit.account).hand_out(report_id, wanted, door="page")
    headers = {"Content-Disposition": f'attachment; filename="{report_id}.{form}"'}
    return Response(content, media_type=wanted.media_type, headers=headers)


@router.post("/{report_id}/withdraw")
def withdraw(visit: Writer, report_id: str) -> Response:
    """Take back what did not go out."""
    return _step(visit, report_id, lambda book: book.withdraw(report_id), _("报告已撤回。"))


@router.post("/{report_id}/approve")
def approve(visit: Head, report_id: str) -> Response:
    """Approve a draft; not by who triaged one of its tickets."""
    return _step(visit, report_id, lambda book: book.approve_report(report_id), _("报告已批准，可以报送。"))


@router.post("/{report_id}/submit")
def submit(visit: Head, report_id: str, submission: Text = "", receipt: Text = "") -> Response:
    """Record that it went out; the clocks stop."""
    return _step(
        visit,
        report_id,
        lambda book: book.submit(report_id, submission, receipt=receipt),
        _("已登记报送，各工单时限停止。"),
    )


@router.post("/{report_id}/acknowledge")
def acknowledge(visit: Head, report_id: str, receipt: Text = "") -> Response:
    """Record the receipt."""
    return _step(visit, report_id, lambda book: book.acknowledge_report(report_id, receipt), _("回执已登记。"))


@router.post("/{report_id}/reject")
def reject(visit: Head, report_id: str, reason: Text = "") -> Response:
    """Record that it was sent back."""
    return _step(
        visit, report_id, lambda book: book.reject_report(report_id, reason), _("已登记退回，各工单原到期日不变。")
    )


def _step(visit: Visit, report_id: str, step: Any, done: str) -> Response:
    book: ReportBook = visit.parts.reports(visit.account)
    try:
        step(book)
    except LiucunError as error:
        return _one(visit, report_id, status=status_of(error), error=error)
    response = RedirectResponse(f"/reports/{report_id}", status_code=303)
    visit.say(response, say(visit, done))
    return response
