"""What an audit says: what it checked, what it found, and how far its word reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

UNCERTIFIED: Final = "uncertified"


class Severity(StrEnum):
    """A fault makes the audit fail; a notice is for a person to decide on and does not."""

    FAULT = "fault"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. ``where`` names it for a machine, ``detail`` says it in words."""

    kind: str
    where: str
    detail: str
    severity: Severity = Severity.FAULT

    def as_json(self) -> dict[str, str]:
        """The finding as ``audit --json`` prints it."""
        return {"kind": self.kind, "where": self.where, "detail": self.detail, "severity": self.severity.value}


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open span of commit times an audit looks at; None is unbounded."""

    since: datetime | None = None
    until: datetime | None = None

    def words(self) -> str:
        """The span for a reader."""
        if self.since is None and self.until is None:
            return "everything"
        first = "the beginning" if self.since is None else self.since.isoformat()
        return f"committed from {first} to {'now' if self.until is None else self.until.isoformat()}"


@dataclass(slots=True)
class AuditReport:
    """The outcome of one audit.

    ``anchored`` is True only where a second custodian holds a checkpoint that covers what was checked: without one,
    who can write the store could rewrite its history unseen. ``certification`` is the key provider's certificate.
    """

    audit: str
    at: datetime
    span: Span = Span()
    anchored: bool = False
    certification: str = UNCERTIFIED
    checked: dict[str, int | str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def faults(self) -> list[Finding]:
        """Findings that make the audit fail."""
        return [finding for finding in self.findings if finding.severity is Severity.FAULT]

    @property
    def notices(self) -> list[Finding]:
        """Findings that a person should decide on."""
        return [finding for finding in self.findings if finding.severity is Severity.NOTICE]

    @property
    def ok(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    def add(self, kind: str, where: str, detail: str, severity: Severity = Severity.FAULT) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, where, detail, severity))

    def as_json(self) -> dict[str, object]:
        """The report as ``audit --json`` prints it."""
        return {
            "ok": self.ok,
            "anchored": self.anchored,
            "checked": self.checked,
            "findings": [finding.as_json() for finding in self.findings],
            "audit": self.audit,
            "at": self.at.isoformat(),
            "span": self.span.words(),
            "certification": self.certification,
        }


def combined(reports: Sequence[AuditReport]) -> dict[str, object]:
    """Several reports as one object of the same shape; ``checked`` and ``reports`` by audit."""
    return {
        "ok": all(report.ok for report in reports),
        "anchored": all(report.anchored for report in reports),
        "checked": {report.audit: report.checked for report in reports},
        "findings": [{**finding.as_json(), "audit": report.audit} for report in reports for finding in report.findings],
        "audit": "all",
        "certification": ", ".join(sorted({report.certification for report in reports})),
        "reports": {report.audit: report.as_json() for report in reports},
    }
