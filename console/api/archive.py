"""The archive over HTTP: figures, coverage, audits, rules, the trail of events; and whether all is well."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request

from console.access.roles import Right
from console.api.gate import Caller, Needs
from console.api.models import AuditBody, Number, plain
from console.parts import Parts
from console.reading import audits, overview
from console.reading.rules import rule_lines
from retention.audits import days
from retention.catalogue.migrate import version
from retention.catalogue.tables import events

router = APIRouter()
Anyone = Annotated[Caller, Depends(Needs())]
Seer = Annotated[Caller, Depends(Needs(Right.OVERVIEW_READ))]
AuditReader = Annotated[Caller, Depends(Needs(Right.AUDIT_READ))]
AuditRunner = Annotated[Caller, Depends(Needs(Right.AUDIT_RUN))]
Trail = Annotated[Caller, Depends(Needs(Right.EVENTS_READ))]
RuleReader = Annotated[Caller, Depends(Needs(Right.RULES_READ))]


@router.get("/health", tags=["health"])
def health() -> dict[str, str]:
    """The process answers. Open to everybody; says nothing else."""
    return {"status": "ok"}


@router.get("/ready", tags=["health"])
def ready(request: Request) -> dict[str, str]:
    """The database answers too (503 if not). Open to everybody."""
    parts: Parts = request.app.state.parts
    version(parts.catalogue, "console")
    return {"status": "ready"}


@router.get("/me", tags=["account"])
def me(caller: Anyone) -> dict[str, Any]:
    """Whose token this is, and what it allows."""
    return {
        "name": caller.account.name,
        "display_name": caller.account.display_name,
        "roles": sorted(caller.account.roles),
        "permissions": sorted(caller.permissions),
    }


@router.get("/overview", tags=["archive"])
def figures(caller: Seer) -> dict[str, Any]:
    """Sources, storage and, for who may see the queue, its figures."""
    parts = caller.parts
    with parts.catalogue.read() as connection:
        work = (
            asdict(overview.work(connection, parts.calendar(), caller.account.actor))
            if caller.may(Right.QUEUE_READ)
            else None
        )
        return {
            "work": work,
            "sources": [asdict(one) for one in overview.sources(connection)],
            "storage": [asdict(one) for one in overview.storage(connection)],
            "free_bytes": overview.free_disk(parts),
        }


@router.get("/coverage", tags=["archive"])
def coverage(caller: Seer) -> list[dict[str, Any]]:
    """Records a day and class over 400 days, and the days without any since the first."""
    with caller.parts.catalogue.read() as connection:
        found = days.coverage(connection)
    return [
        {
            "record_class": one.record_class,
            "first": one.first.isoformat(),
            "rows": list(one.rows),
            "gaps": [day.isoformat() for day in one.gaps],
        }
        for one in found
    ]


@router.get("/rules", tags=["rules"])
def rules(request: Request, caller: RuleReader) -> dict[str, Any]:
    """The rules that run, with tickets, confirmed and dismissed of each."""
    with caller.parts.catalogue.read() as connection:
        counted = request.app.state.rule_counts.read(connection)
    lines, problems, running = rule_lines(caller.parts, counted)
    return {
        "version": running,
        "rules": [
            {
                "id": line.rule.id,
                "category": line.rule.category,
                "subtype": line.rule.subtype,
                "severity": line.rule.severity,
                "state": line.state,
                "weight": line.rule.weight,
                **asdict(line.spoken),
            }
            for line in lines
        ],
        "problems": [{"line": one.line, "what": one.what, "cure": one.cure, "fatal": one.fatal} for one in problems],
    }


@router.get("/audits", tags=["audits"])
def kept_audits(caller: AuditReader, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[dict[str, Any]]:
    """Audits run from the console, newest first; ``ok`` is null while one runs, ``findings`` is their number."""
    with caller.parts.catalogue.read() as connection:
        return [asdict(one) for one in audits.headings(connection, limit=limit)]


@router.post("/audits", tags=["audits"], status_code=202)
def run_audit(request: Request, caller: AuditRunner, body: AuditBody) -> dict[str, str]:
    """Begin an audit in the background; its report has this number."""
    runner: audits.AuditRunner = request.app.state.audits
    return {"report_id": runner.start(body.audit, caller.account.actor, sample=body.sample)}


@router.get("/audits/{report_id}", tags=["audits"])
def kept_audit(caller: AuditReader, report_id: Number) -> dict[str, Any]:
    """One audit with its findings."""
    with caller.parts.catalogue.read() as connection:
        return _without_pictures(audits.report(connection, report_id))


def _without_pictures(kept: audits.KeptReport) -> dict[str, Any]:
    found = dict(plain(kept))
    found["body"] = {name: value for name, value in kept.body.items() if name != "pictures"}
    return found


@router.get("/events", tags=["audits"])
def trail(
    caller: Trail,
    subject: Annotated[str, Query(max_length=256)] = "",
    before: Annotated[int | None, Query(ge=1, lt=1 << 62)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[dict[str, Any]]:
    """Who did what, newest first; ``before`` an event's id goes on."""
    e = events.c
    conditions: list[sa.ColumnElement[bool]] = []
    if subject:
        conditions.append(e.subject.startswith(subject.replace("\x00", ""), autoescape=True))
    if before is not None:
        conditions.append(e.id < before)
    with caller.parts.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(e.id, e.at, e.kind, e.actor, e.subject, e.body)
            .where(*conditions)
            .order_by(e.id.desc())
            .limit(limit)
        ).all()
    return [
        {**row._asdict(), "body": {k: v for k, v in json.loads(row.body).items() if "sealed" not in k}} for row in rows
    ]
