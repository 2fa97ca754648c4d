"""What an audit says: what it checked, what it found, and how far its word reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from retention.audits.outcome import Outcome, outcome_of, together
from retention.policies.periods import SHANGHAI
from retention.printing.blocks import Picture

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
class Table:
    """Figures of an audit as a table: ``widths`` are shares of a page, ``numbers`` the columns of numbers."""

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...] = ()
    numbers: frozenset[int] = frozenset()

    def as_json(self) -> dict[str, object]:
        """The table as ``audit --json`` prints it."""
        return {"name": self.name, "title": self.title, "header": self.header, "rows": self.rows}


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open span of commit times an audit looks at; None is unbounded."""

    since: datetime | None = None
    until: datetime | None = None

    def both(self) -> str:
        """The span for people, in Chinese and English, in Shanghai's time."""
        if self.since is None and self.until is None:
            return "全部 everything"
        since, until = (
            None if moment is None else moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
            for moment in (self.since, self.until)
        )
        return (
            f"提交时间自 {since or '最初'} 至 {until or '现在'}\n"
            f"committed from {since or 'the beginning'} to {until or 'now'}"
        )

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
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

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

    @property
    def outcome(self) -> Outcome:
        """How it came out; an audit that had nothing to look at is not called passed."""
        return outcome_of(self.audit, ok=self.ok, checked=self.checked)

    def add(self, kind: str, where: str, detail: str, severity: Severity = Severity.FAULT) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, where, detail, severity))

    def as_json(self) -> dict[str, object]:
        """The report as ``audit --json`` prints it."""
        return {
            "ok": self.ok,
            "outcome": self.outcome.value,
            "anchored": self.anchored,
            "checked": self.checked,
            "findings": [finding.as_json() for finding in self.findings],
            "audit": self.audit,
            "at": self.at.isoformat(),
            "span": self.span.words(),
            "certification": self.certification,
            "tables": [table.as_json() for table in self.tables],
        }

    def whole_json(self) -> dict[str, object]:
        """All of it, pictures included, so that ``read_report`` gives it back."""
        return {
            **self.as_json(),
            "since": None if self.span.since is None else self.span.since.isoformat(),
            "until": None if self.span.until is None else self.span.until.isoformat(),
            "tables": [{**asdict(table), "numbers": sorted(table.numbers)} for table in self.tables],
            "pictures": [asdict(picture) for picture in self.pictures],
        }


def read_report(body: Mapping[str, Any]) -> AuditReport:
    """A report from what ``whole_json`` wrote; one that was kept by an older version has no tables and pictures."""
    since, until = body.get("since"), body.get("until")
    return AuditReport(
        audit=body["audit"],
        at=datetime.fromisoformat(body["at"]),
        span=Span(
            None if since is None else datetime.fromisoformat(since),
            None if until is None else datetime.fromisoformat(until),
        ),
        anchored=body["anchored"],
        certification=body["certification"],
        checked=dict(body["checked"]),
        findings=[Finding(f["kind"], f["where"], f["detail"], Severity(f["severity"])) for f in body["findings"]],
        tables=[
            Table(
                t["name"],
                t["title"],
                tuple(t["header"]),
                tuple(tuple(row) for row in t["rows"]),
                tuple(t.get("widths", ())),
                frozenset(t.get("numbers", ())),
            )
            for t in body.get("tables", ())
        ],
        pictures=[Picture(**picture) for picture in body.get("pictures", ())],
    )


def combined(reports: Sequence[AuditReport]) -> dict[str, object]:
    """Several reports as one object of the same shape; ``checked`` and ``reports`` by audit."""
    return {
        "ok": all(report.ok for report in reports),
        "outcome": together({report.audit: report.outcome for report in reports}).value,
        "anchored": all(report.anchored for report in reports),
        "checked": {report.audit: report.checked for report in reports},
        "findings": [{**finding.as_json(), "audit": report.audit} for report in reports for finding in report.findings],
        "audit": "all",
        "certification": ", ".join(sorted({report.certification for report in reports})),
        "reports": {report.audit: report.as_json() for report in reports},
    }
