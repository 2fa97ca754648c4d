"""What the transparency log says of the archive, as part of an audit's report."""

from __future__ import annotations

from retention.audits.report import AuditReport, Finding, Severity
from retention.transparency.verdict import LogVerdict


def add_history(report: AuditReport, verdict: LogVerdict, *, whole: bool) -> None:
    """Put a verdict on the log into a report: all of it (``whole``), or only whether the history can be relied on."""
    report.anchored = verdict.anchored
    if not whole:
        if verdict.faults:
            report.add(
                "history_contradicted",
                "log",
                f"The transparency log has {len(verdict.faults)} faults: `liucun audit integrity` names them.",
            )
        return
    report.checked.update(
        log_entries=verdict.size,
        log_unsequenced=verdict.unsequenced,
        log_checkpoints=verdict.checkpoints,
        log_witnessed=verdict.witnessed,
        imaged_rows=verdict.rows,
    )
    report.findings.extend(Finding(fault.kind, fault.where, fault.detail) for fault in verdict.faults)
    report.findings.extend(
        Finding(notice.kind, notice.where, notice.detail, Severity.NOTICE) for notice in verdict.notices
    )
    behind = verdict.size + verdict.unsequenced - verdict.witnessed
    if verdict.custodian is not None and behind > 0:
        report.add(
            "not_witnessed",
            verdict.custodian,
            f"The custodian has not seen the last {behind} entries yet; the guarantees hold for what he has seen.",
            Severity.NOTICE,
        )
