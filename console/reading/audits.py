"""Audits run from the console: in the background, one of a kind at a time, kept with their findings."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import threading
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from console.parts import Parts
from console.tables import audit_reports as table
from errors import BusyError, LiucunError, UsageError
from retention.audits.document import Context, document
from retention.audits.making import ARCHIVE, make_audit, verified_log
from retention.audits.outcome import Outcome, outcome_of
from retention.audits.report import AuditReport, read_report
from retention.catalogue import events
from retention.catalogue.tables import timestamp
from retention.printing.web import write_page
from retention.search.audit import AUDIT as INDEX
from retention.search.audit import audit_index
from retention.search.leasing import leased
from tickets.samples.audit import AUDIT as SAMPLES
from tickets.samples.audit import audit_samples
from tickets.samples.draw import frames_of

LOG: Final = logging.getLogger("liucun.console")
KINDS: Final = (*ARCHIVE, SAMPLES, INDEX)
INDEX_SECONDS: Final = 120.0
"""How long an audit of the index waits for a follower that is at work."""
KEPT: Final = 50
"""Reports kept of each kind; the oldest goes first. The event of each audit stays."""


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report: ``ok`` and ``outcome`` are None while the audit runs or when it was cut off."""

    report_id: str
    audit: str
    at: str
    actor: str
    ok: bool | None
    outcome: Outcome | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heading:
    """What a list shows of a report: ``checked`` and ``findings`` (their number) are empty until it is made."""

    report_id: str
    audit: str
    at: str
    actor: str
    ok: bool | None
    outcome: Outcome | None
    checked: dict[str, Any]
    anchored: bool
    findings: int


_HEADING: Final = tuple(table.c[name] for name in ("report_id", "audit", "at", "actor", "ok", "heading"))


def headings(connection: sa.Connection, *, limit: int = 20) -> list[Heading]:
    """Kept reports as a list shows them, newest first."""
    return [_heading(row) for row in connection.execute(sa.select(*_HEADING).order_by(table.c.at.desc()).limit(limit))]


def newest(connection: sa.Connection, kind: str) -> Heading | None:
    """The last report of a kind that was begun."""
    asked = sa.select(*_HEADING).where(table.c.audit == kind).order_by(table.c.at.desc()).limit(1)
    row = connection.execute(asked).one_or_none()
    return None if row is None else _heading(row)


def _heading(row: sa.Row[Any]) -> Heading:
    said = json.loads(row.heading or "{}")
    return Heading(
        row.report_id,
        row.audit,
        row.at,
        row.actor,
        row.ok,
        _outcome(row, said),
        said.get("checked", {}),
        said.get("anchored", False),
        said.get("findings", 0),
    )


def report(connection: sa.Connection, report_id: str) -> KeptReport:
    """One report.

    Raises:
        UsageError: there is none.
    """
    row = connection.execute(sa.select(table).where(table.c.report_id == report_id)).one_or_none()
    if row is None:
        raise UsageError(f"There is no audit report {report_id!r}.", cure="Look at the list.")
    body = json.loads(row.body)
    return KeptReport(row.report_id, row.audit, row.at, row.actor, row.ok, _outcome(row, body), body)


def _outcome(row: sa.Row[Any], said: dict[str, Any]) -> Outcome | None:
    return None if row.ok is None else outcome_of(row.audit, ok=row.ok, checked=said.get("checked", {}))


class AuditRunner:
    """Runs audits in threads of this process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self.kinds = KINDS if parts.search.on else tuple(kind for kind in KINDS if kind != INDEX)
        """The audits of this store; that of the index only where there is one."""
        self.progress: dict[str, tuple[str, int, int]] = {}
        """By kind: what is being checked, how many are done, and of how many."""

    def start(self, kind: str, actor: str, *, sample: int | None = None) -> str:
        """Begin an audit and return its report's number.

        Raises:
            UsageError: no such audit.
            BusyError: one of this kind runs.
        """
        if kind not in self.kinds:
            raise UsageError(f"There is no audit {kind!r}.", cure=f"There are {', '.join(self.kinds)}.")
        with self._lock:
            running = self._threads.get(kind)
            if running is not None and running.is_alive():
                raise BusyError(f"An audit of {kind} runs already.", cure="Wait for it to end.")
            number = secrets.token_hex(8)
            with self._parts.catalogue.write() as connection:
                connection.execute(
                    table.insert().values(report_id=number, audit=kind, at=timestamp(), actor=actor, body="{}")
                )
            thread = threading.Thread(target=self._run, args=(number, kind, actor, sample), name=f"audit-{kind}")
            thread.daemon = True
            self._threads[kind] = thread
            thread.start()
            return number

    def running(self, kind: str) -> bool:
        """Whether an audit of the kind runs in this process."""
        thread = self._threads.get(kind)
        return thread is not None and thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Let running audits end."""
        for thread in list(self._threads.values()):
            thread.join(seconds)

    def _run(self, number: str, kind: str, actor: str, sample: int | None) -> None:
        try:
            made = self._audit(kind, sample)
            made.certification = self._parts.certification
            body = json.dumps(made.whole_json(), ensure_ascii=False, default=str)
            with self._parts.catalogue.write() as connection:
                heading = {"checked": made.checked, "anchored": made.anchored, "findings": len(made.findings)}
                connection.execute(
                    table.update()
                    .where(table.c.report_id == number)
                    .values(ok=made.ok, body=body, heading=json.dumps(heading, default=str))
                )
                old = sa.select(table.c.report_id).where(table.c.audit == kind).order_by(table.c.at.desc()).offset(KEPT)
                gone = list(connection.execute(old.limit(1000)).scalars())
                connection.execute(table.delete().where(table.c.report_id.in_(gone)))
                said = {
                    "ok": made.ok,
                    "outcome": made.outcome.value,
                    "span": made.span.words(),
                    "checked": made.checked,
                    "faults": len(made.faults),
                    "notices": len(made.notices),
                }
                events.append(connection, kind="audit.made", actor=actor, subject=f"audit:{kind}", body=said)
        except LiucunError as error:
            LOG.exception("audit %s", kind)
            body = json.dumps({"error": error.what, "cure": error.cure}, ensure_ascii=False)
            with contextlib.suppress(LiucunError), self._parts.catalogue.write() as connection:
                connection.execute(table.update().where(table.c.report_id == number).values(ok=False, body=body))
        finally:
            self.progress.pop(kind, None)

    def _audit(self, kind: str, sample: int | None) -> AuditReport:
        def show(what: str, done: int, total: int) -> None:
            self.progress[kind] = (what, done, total)

        parts = self._parts
        verdict = None if parts.log is None else verified_log(parts.log, progress=show)
        if kind == SAMPLES:
            declared = ((one.name, one.record_class, one.published) for one in parts.monitoring().every)
            return audit_samples(
                parts.catalogue,
                frames=frames_of(declared),
                size=parts.review.size,
                lag_hours=parts.review.lag_hours,
                verdict=verdict,
            )
        if kind == INDEX:
            follower = leased(parts, parts.search, wait=INDEX_SECONDS)
            return audit_index(follower, sample=sample, verdict=verdict, progress=show)
        return make_audit(
            kind,
            parts,
            verdict=verdict,
            settings=parts.retention,
            monitoring=parts.monitoring() if kind == "coverage" else None,
            sample=sample,
            threads=1,
            progress=show,
        )


def read_kept(kept: KeptReport) -> AuditReport | None:
    """The report as its audit made it; None while it runs, or when it was cut off or failed."""
    return read_report(kept.body) if "checked" in kept.body else None


def context_of(parts: Parts, kept: KeptReport) -> Context:
    """What a printed report says of the store and of who audited."""
    return Context(
        store=str(parts.root.resolve()),
        actor=kept.actor,
        company=parts.company.name,
        licence=parts.company.licence_number,
        suite=parts.suite,
    )


def printed(parts: Parts, kept: KeptReport, made: AuditReport, form: str) -> bytes:
    """A report as ``pdf``, ``html`` or ``json``.

    Raises:
        FontMissingError: PDF, and there is no Chinese font.
    """
    if form == "json":
        return (json.dumps(made.as_json(), ensure_ascii=False, indent=2) + "\n").encode()
    laid = document([made], context_of(parts, kept))
    if form == "html":
        return write_page(laid).encode()
    from retention.printing.pdf import write_pdf

    return write_pdf(laid, made_at=made.at, fonts=parts.company.fonts)
