"""Roles and what each may do.

System, security and audit administrators are separate (三员分立, GB/T 22239-2019 8.1.5); the other roles are those
of the disposal queue: who triages does not approve, who administers does not touch audit records, who audits changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from tickets.actors import Role

__all__ = ["ALONE", "GRANTS", "Permission", "Role", "conflict", "permissions"]


class Permission(StrEnum):
    """What an account may do 权限."""

    OVERVIEW_READ = "overview.read"
    QUEUE_READ = "queue.read"
    CONTENT_READ = "content.read"
    """See the text of tickets, personal data masked."""
    CONTENT_READ_FOR_PURPOSE = "content.read_for_purpose"
    """See it only after a purpose was stated."""
    PERSONAL_REVEAL = "personal.reveal"
    """See personal data unmasked, after a reason was stated."""
    TICKETS_OPEN = "tickets.open"
    TICKETS_WORK = "tickets.work"
    """Claim, note, triage, dispose, close."""
    TICKETS_APPROVE = "tickets.approve"
    """Report, acknowledge, reject, decide appeals."""
    RULES_READ = "rules.read"
    AUDIT_READ = "audit.read"
    AUDIT_RUN = "audit.run"
    EVENTS_READ = "events.read"
    REPORTS_READ = "reports.read"
    REPORTS_PREPARE = "reports.prepare"
    REPORTS_APPROVE = "reports.approve"
    DISCLOSURES_READ = "disclosures.read"
    DISCLOSURES_REQUEST = "disclosures.request"
    DISCLOSURES_APPROVE = "disclosures.approve"
    """Approve, refuse or stop; never one's own request."""
    DISCLOSURES_HAND_OUT = "disclosures.hand_out"
    """Export what was approved, make and take back keys to it."""
    DUTIES_READ = "duties.read"
    DUTIES_WORK = "duties.work"
    ACCOUNTS_READ = "accounts.read"
    ACCOUNTS_MANAGE = "accounts.manage"
    """Make, disable and unlock accounts, reset passwords."""
    ROLES_GRANT = "roles.grant"
    LOGS_WRITE = "logs.write"
    """Hand lines over to the collector."""


_P = Permission
GRANTS: Final[dict[Role, frozenset[Permission]]] = {
    Role.REVIEWER: frozenset(
        {
            _P.OVERVIEW_READ, _P.QUEUE_READ, _P.CONTENT_READ, _P.PERSONAL_REVEAL, _P.TICKETS_OPEN, _P.TICKETS_WORK,
            _P.RULES_READ, _P.REPORTS_READ, _P.REPORTS_PREPARE, _P.DUTIES_READ, _P.DISCLOSURES_READ,
            _P.DISCLOSURES_REQUEST,
        }
    ),
    Role.SECURITY_ADMIN: frozenset(
        {
            _P.OVERVIEW_READ, _P.RULES_READ, _P.AUDIT_READ, _P.DUTIES_READ, _P.DUTIES_WORK, _P.ACCOUNTS_READ,
            _P.ROLES_GRANT, _P.DISCLOSURES_READ, _P.DISCLOSURES_APPROVE,
        }
    ),
    Role.AUDITOR: frozenset(
        {
            _P.OVERVIEW_READ, _P.QUEUE_READ, _P.CONTENT_READ_FOR_PURPOSE, _P.RULES_READ, _P.AUDIT_READ, _P.AUDIT_RUN,
            _P.EVENTS_READ, _P.REPORTS_READ, _P.DUTIES_READ, _P.ACCOUNTS_READ, _P.DISCLOSURES_READ,
        }
    ),
    Role.SYSTEM_ADMIN: frozenset({_P.OVERVIEW_READ, _P.ACCOUNTS_READ, _P.ACCOUNTS_MANAGE}),
    Role.COMPLIANCE_HEAD: frozenset(
        {
            _P.OVERVIEW_READ, _P.QUEUE_READ, _P.CONTENT_READ, _P.PERSONAL_REVEAL, _P.TICKETS_OPEN, _P.TICKETS_WORK,
            _P.TICKETS_APPROVE, _P.RULES_READ, _P.AUDIT_READ, _P.AUDIT_RUN, _P.REPORTS_READ, _P.REPORTS_PREPARE,
            _P.REPORTS_APPROVE, _P.DUTIES_READ, _P.DUTIES_WORK, _P.DISCLOSURES_READ, _P.DISCLOSURES_REQUEST,
            _P.DISCLOSURES_APPROVE, _P.DISCLOSURES_HAND_OUT,
        }
    ),
    Role.COLLECTOR: frozenset({_P.LOGS_WRITE}),
}  # fmt: skip

ALONE: Final = frozenset({Role.AUDITOR, Role.COLLECTOR})
"""Roles that nobody holds together with another: an auditor changes nothing, a program that sends logs nothing else."""


def permissions(roles: Iterable[Role]) -> frozenset[Permission]:
    """Everything that an account with these roles may do."""
    return frozenset().union(*(GRANTS[role] for role in roles))


def conflict(roles: Iterable[Role]) -> bool:
    """Whether no account may hold these roles together."""
    held = frozenset(roles)
    return bool(held & ALONE) and len(held) > 1
