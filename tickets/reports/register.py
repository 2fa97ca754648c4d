"""Reads the register of reports; what a report says is opened only if it still has the digests of its draft."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from errors import IntegrityError
from tickets.bodies import Bodies
from tickets.errors import ReportError
from tickets.reports.content import local
from tickets.tables_sending import report_tickets
from tickets.tables_sending import reports as table


@dataclass(frozen=True, slots=True)
class Report:
    """A report without what it says: ``state`` is draft, approved, submitted, acknowledged, rejected or withdrawn."""

    report_id: str
    recipient: str
    corrects: str | None
    state: str
    due_at: str | None
    created_at: str
    created_by: str
    approved_at: str | None
    approved_by: str | None
    submitted_at: str | None
    submitted_by: str | None
    submission: str | None
    receipt: str | None
    settled_at: str | None
    sha256: str
    sm3: str
    version: int
    texts_gone: str | None = None
    """The purge that destroyed what it says."""
    tickets: tuple[str, ...] = ()


_COLUMNS: Final = tuple(column for column in table.c if column.name not in ("body", "text_key"))


def list_reports(connection: sa.Connection, *, states: Sequence[str] | None = None, limit: int = 100) -> list[Report]:
    """Reports, newest first, without their tickets."""
    chosen = sa.select(*_COLUMNS).order_by(table.c.created_at.desc(), table.c.report_id.desc()).limit(limit)
    if states is not None:
        chosen = chosen.where(table.c.state.in_(states))
    return [Report(**row) for row in connection.execute(chosen).mappings()]


def get_report(connection: sa.Connection, report_id: str) -> Report:
    """One report with its tickets.

    Raises:
        ReportError: there is none of that number.
    """
    row = connection.execute(sa.select(*_COLUMNS).where(table.c.report_id == report_id)).mappings().one_or_none()
    if row is None:
        raise ReportError(f"There is no report {report_id!r}.", cure="`liucun tickets reports` shows them.")
    r = report_tickets.c
    ids = connection.execute(sa.select(r.ticket_id).where(r.report_id == report_id).order_by(r.ticket_id)).scalars()
    return Report(**row, tickets=tuple(ids))


def open_report(connection: sa.Connection, bodies: Bodies, report_id: str) -> dict[str, Any]:
    """What a report says, with who approved and submitted it.

    Raises:
        IntegrityError: what is stored is not what was drafted.
        ReportError: a purge destroyed it.
    """
    report = get_report(connection, report_id)
    if report.texts_gone is not None:
        raise ReportError(
            f"What the report {report_id} said was destroyed by the purge {report.texts_gone}: its period was over.",
            cure=f"`liucun purge --certificate {report.texts_gone}` proves it. Times, digests and receipt stay.",
        )
    sealed = connection.execute(sa.select(table.c.body).where(table.c.report_id == report_id)).scalar_one()
    content = bodies.open(sealed, report_context(report_id))
    if digests(content) != (report.sha256, report.sm3):
        raise IntegrityError(f"The report {report_id} was changed.", cure="Restore it from a backup.")
    data: dict[str, Any] = json.loads(content)
    return {
        **data,
        "approved_by": report.approved_by,
        "approved_at": local(report.approved_at),
        "submitted_at": local(report.submitted_at),
        "submission": report.submission,
        "receipt": report.receipt,
        "state": report.state,
        "sha256": report.sha256,
        "sm3": report.sm3,
    }


def digests(content: bytes) -> tuple[str, str]:
    """SHA-256 and SM3 of a report, hexadecimal."""
    return hashlib.sha256(content).hexdigest(), hashlib.new("sm3", content).hexdigest()


def report_context(report_id: str) -> bytes:
    """What a report's body is bound to."""
    return f"report\x00{report_id}".encode()
