"""The archive's audits and the trail of events: run, read, search."""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from console.access.roles import Right
from console.i18n import mark as _
from console.reading import audits
from console.web.render import page, say
from console.web.visit import Gate, Visit
from errors import UsageError
from retention.audits.finding_words import in_chinese, kind_name
from retention.catalogue.tables import events

router = APIRouter(prefix="/audit")
Reader = Annotated[Visit, Depends(Gate(Right.AUDIT_READ))]
Runner = Annotated[Visit, Depends(Gate(Right.AUDIT_RUN))]
Trail = Annotated[Visit, Depends(Gate(Right.EVENTS_READ))]
PAGE = 100
_TYPES: Final = {"pdf": "application/pdf", "html": "text/html; charset=utf-8", "json": "application/json"}


@router.get("")
def show(request: Request, visit: Reader) -> Response:
    """The audits and their last reports."""
    runner: audits.AuditRunner = request.app.state.audits
    with visit.parts.catalogue.read() as connection:
        kept = audits.headings(connection)
        last = {kind: audits.newest(connection, kind) for kind in runner.kinds}
    running = {kind: runner.progress.get(kind, ("", 0, 0)) for kind in runner.kinds if runner.running(kind)}
    return page(visit, "audit.html", kept=kept, kinds=runner.kinds, running=running, newest=last)


@router.post("/run")
def run(
    request: Request,
    visit: Runner,
    audit: Annotated[str, Form(max_length=32)] = "",
    sample: Annotated[int | None, Form(ge=1, le=1_000_000)] = None,
) -> Response:
    """Begin one in the background."""
    runner: audits.AuditRunner = request.app.state.audits
    runner.start(audit, visit.account.actor, sample=sample)
    response = RedirectResponse("/audit", status_code=303)
    visit.say(response, say(visit, _("审计已开始，完成后结果显示在下面。")))
    return response


@router.get("/reports/{report_id}")
def report(visit: Reader, report_id: str) -> Response:
    """A report with all its findings."""
    with visit.parts.catalogue.read() as connection:
        found = audits.report(connection, report_id)
    made = audits.read_kept(found)
    return page(visit, "audit_report.html", report=found, made=made, kind_name=kind_name, in_chinese=in_chinese)


@router.get("/reports/{report_id}/file")
def file(visit: Reader, report_id: str, form: Annotated[Literal["pdf", "html", "json"], Query()] = "pdf") -> Response:
    """A report for print or for programs."""
    with visit.parts.catalogue.read() as connection:
        found = audits.report(connection, report_id)
    made = audits.read_kept(found)
    if made is None:
        raise UsageError("The audit has no report yet.", cure="Wait for its end, or run it again.")
    data = audits.printed(visit.parts, found, made, form)
    name = f"audit-{found.audit}-{made.at:%Y%m%d-%H%M%S}.{form}"
    return Response(data, media_type=_TYPES[form], headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.get("/events")
def trail(
    visit: Trail,
    kind: Annotated[str, Query(max_length=64)] = "",
    actor: Annotated[str, Query(max_length=128)] = "",
    subject: Annotated[str, Query(max_length=256)] = "",
    before: Annotated[int | None, Query(ge=1, le=1 << 62)] = None,
) -> Response:
    """Who did what, newest first."""
    e = events.c
    conditions: list[sa.ColumnElement[bool]] = []
    if kind:
        conditions.append(e.kind == kind)
    if actor:
        conditions.append(sa.or_(e.actor == actor, e.actor == f"user:{actor}"))
    if subject:
        conditions.append(e.subject.startswith(subject, autoescape=True))
    if before is not None:
        conditions.append(e.id < before)
    with visit.parts.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(e.id, e.at, e.kind, e.actor, e.subject, e.body)
            .where(*conditions)
            .order_by(e.id.desc())
            .limit(PAGE + 1)
        ).all()
    shown = [
        {**row._asdict(), "body": {k: v for k, v in json.loads(row.body).items() if "sealed" not in k}}
        for row in rows[:PAGE]
    ]
    older = rows[PAGE - 1].id if len(rows) > PAGE else None
    return page(visit, "events.html", rows=shown, kind=kind, actor=actor, subject=subject, older=older)
