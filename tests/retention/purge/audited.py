"""Audits of a world on a day, and what they found, by kind."""

from __future__ import annotations

from retention.audits.keys import audit_keys
from retention.audits.report import AuditReport, Severity
from retention.audits.retention import audit_retention
from tests.retention.policies.world import World, at


def found(report: AuditReport) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for finding in report.findings:
        if finding.severity is Severity.FAULT:
            kinds.setdefault(finding.kind, []).append(finding.where)
    return kinds


def notices(report: AuditReport) -> set[str]:
    return {finding.kind for finding in report.findings if finding.severity is Severity.NOTICE}


def retention(world: World, on: str) -> AuditReport:
    world.follow()
    return audit_retention(world.store, settings=world.settings, now=at(on))


def keys(world: World, on: str) -> AuditReport:
    world.follow()
    return audit_keys(world.store, settings=world.settings, now=at(on))
