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
from errors import BusyError, IntegrityError, LiucunError, UsageError
from retention.audits.coverage import audit_coverage
from retention.audits.history import add_history
from retention.audits.integrity import audit_integrity
from retention.audits.report import AuditReport
from retention.catalogue import events
from retention.catalogue.tables import timestamp
from retention.transparency.verify import verify_log

LOG: Final = logging.getLogger("liucun.console")
KINDS: Final = ("coverage", "integrity")
KEPT: Final = 50
"""Reports kept of each kind; the oldest goes first. The event of each audit stays."""


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report: ``ok`` is None while the audit runs or when it was cut off."""

    report_id: str
    audit: str
    at: str
    actor: str
    ok: bool | None
    body: dict[str, Any]


def reports(connection: sa.Connection, *, limit: int = 20) -> list[KeptReport]:
    """Kept reports, newest first."""
    rows = connection.execute(sa.select(table).order_by(table.c.at.desc()).limit(limit))
    return [KeptReport(r.report_id, r.audit, r.at, r.actor, r.ok, json.loads(r.body)) for r in rows]


def report(connection: sa.Connection, report_id: str) -> KeptReport:
    """One report.

    Raises:
        UsageError: there is none.
    """
    row = connection.execute(sa.select(table).where(table.c.report_id == report_id)).one_or_none()
    if row is None:
        raise UsageError(f"There is no audit report {report_id!r}.", cure="Look at the list.")
    return KeptReport(row.report_id, row.audit, row.at, row.actor, row.ok, json.loads(row.body))


class AuditRunner:
    """Runs audits in threads of this process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self.progress: dict[str, tuple[str, int, int]] = {}
        """By kind: what is being checked, how many are done, and of how many."""

    def start(self, kind: str, actor: str, *, sample: int | None = None) -> str:
        """Begin an audit and return its report's number.

        Raises:
            UsageError: no such audit.
            BusyError: one of this kind runs.
        """
        if kind not in KINDS:
            raise UsageError(f"There is no audit {kind!r}.", cure=f"There are {', '.join(KINDS)}.")
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
            made.certification = self._parts.provider.certification
            body = json.dumps(made.as_json(), ensure_ascii=False, default=str)
            with self._parts.catalogue.write() as connection:
                connection.execute(table.update().where(table.c.report_id == number).values(ok=made.ok, body=body))
                old = sa.select(table.c.report_id).where(table.c.audit == kind).order_by(table.c.at.desc()).offset(KEPT)
                gone = list(connection.execute(old.limit(1000)).scalars())
                connection.execute(table.delete().where(table.c.report_id.in_(gone)))
                said = {
                    "ok": made.ok,
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

        verdict = None
        if self._parts.log is not None:
            # A log that cannot go on is what the verification names, in full.
            with contextlib.suppress(IntegrityError):
                self._parts.log.keep()
            verdict = verify_log(self._parts.log, progress=show)
        if kind == "coverage":
            made = audit_coverage(self._parts, progress=show)
        else:
            made = audit_integrity(self._parts, sample=sample, threads=1, progress=show)
        if verdict is not None:
            add_history(made, verdict, whole=kind == "integrity")
        return made
