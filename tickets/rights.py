"""Rights 权限 and which role carries them: the one table that pages, HTTP API and command line go by.

System, security and audit administrators are separate (三员分立, GB/T 22239-2019 8.1.5); the other roles are those of
the disposal queue: who triages does not approve, who administers reads no content, who audits changes nothing.
docs/rights.md shows the table and what each command needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """Roles of people 角色."""

    REVIEWER = "reviewer"
    SECURITY_ADMIN = "security_admin"
    AUDITOR = "auditor"
    SYSTEM_ADMIN = "system_admin"
    COMPLIANCE_HEAD = "compliance_head"
    COLLECTOR = "collector"
    """A program that hands lines over, no person."""

    @property
    def chinese(self) -> str:
        """Name for people."""
        return {
            "reviewer": "审核员",
            "security_admin": "安全管理员",
            "auditor": "审计员",
            "system_admin": "系统管理员",
            "compliance_head": "合规负责人",
            "collector": "采集程序",
        }[self.value]


class Right(StrEnum):
    """What an account may do. The values stand in tokens that were handed out: they never change."""

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
    TICKETS_ASSIGN = "tickets.assign"
    """Give somebody else's ticket to another."""
    TICKETS_APPROVE = "tickets.approve"
    """Report, acknowledge, reject, decide appeals, approve as the second person."""
    RULES_READ = "rules.read"
    RULES_WORK = "rules.work"
    """Try rules on the archive, train models on decisions, put models and thresholds in use."""
    AUDIT_READ = "audit.read"
    AUDIT_RUN = "audit.run"
    EVENTS_READ = "events.read"
    ARCHIVE_QUERY = "archive.query"
    """Ask the archive in SQL, for a purpose."""
    ARCHIVE_QUERY_RESTRICTED = "archive.query_restricted"
    """See records of restricted accounts in such an answer, on a legal ground."""
    ARCHIVE_OPERATE = "archive.operate"
    """Run the job and its upkeep: take in, compact, back up, follow, carry out what two persons approved."""
    RETENTION_READ = "retention.read"
    """See policies, forecasts, purges and certificates: no content, no names."""
    RETENTION_PROPOSE = "retention.propose"
    """Propose a period, or that an order has ended; withdraw it."""
    RETENTION_APPROVE = "retention.approve"
    HOLDS_READ = "holds.read"
    HOLDS_PLACE = "holds.place"
    HOLDS_RELEASE = "holds.release"
    DESTRUCTION_PLAN = "destruction.plan"
    """Plan a purge, or take one back."""
    DESTRUCTION_APPROVE = "destruction.approve"
    PERSONS_READ = "persons.read"
    """See restrictions and persons' requests, with their accounts."""
    PERSONS_WORK = "persons.work"
    """Restrict an account; enter and answer requests."""
    PERSONS_EXPORT = "persons.export"
    """Write the copy of a person's data."""
    RESTRICTIONS_LIFT = "restrictions.lift"
    KEYS_READ = "keys.read"
    KEYS_MANAGE = "keys.manage"
    """Rotate, rewrap, shred, escrow."""
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
    CALENDAR_CHANGE = "calendar.change"
    ACCOUNTS_READ = "accounts.read"
    ACCOUNTS_MANAGE = "accounts.manage"
    """Make, disable and unlock accounts, reset passwords."""
    ROLES_GRANT = "roles.grant"
    LOGS_WRITE = "logs.write"
    """Hand lines over to the collector."""


_R = Right
_SUPERVISION: Final = frozenset({_R.OVERVIEW_READ, _R.RULES_READ, _R.AUDIT_READ, _R.DUTIES_READ, _R.RETENTION_READ})

GRANTS: Final[dict[Role, frozenset[Right]]] = {
    Role.REVIEWER: frozenset(
        {
            _R.OVERVIEW_READ, _R.QUEUE_READ, _R.CONTENT_READ, _R.PERSONAL_REVEAL, _R.TICKETS_OPEN, _R.TICKETS_WORK,
            _R.RULES_READ, _R.REPORTS_READ, _R.REPORTS_PREPARE, _R.DUTIES_READ, _R.DISCLOSURES_READ,
            _R.DISCLOSURES_REQUEST,
        }
    ),
    Role.SECURITY_ADMIN: _SUPERVISION | {
        _R.DUTIES_WORK, _R.ACCOUNTS_READ, _R.ROLES_GRANT, _R.DISCLOSURES_READ, _R.DISCLOSURES_APPROVE, _R.RULES_WORK,
        _R.KEYS_READ, _R.KEYS_MANAGE, _R.HOLDS_READ, _R.HOLDS_PLACE, _R.RETENTION_PROPOSE, _R.DESTRUCTION_PLAN,
    },
    Role.AUDITOR: _SUPERVISION | {
        _R.QUEUE_READ, _R.CONTENT_READ_FOR_PURPOSE, _R.AUDIT_RUN, _R.EVENTS_READ, _R.REPORTS_READ, _R.ACCOUNTS_READ,
        _R.DISCLOSURES_READ, _R.ARCHIVE_QUERY, _R.HOLDS_READ, _R.PERSONS_READ, _R.KEYS_READ,
    },
    Role.SYSTEM_ADMIN: frozenset(
        {
            _R.OVERVIEW_READ, _R.ACCOUNTS_READ, _R.ACCOUNTS_MANAGE, _R.ARCHIVE_OPERATE, _R.KEYS_READ,
            _R.RETENTION_READ, _R.RETENTION_PROPOSE, _R.DESTRUCTION_PLAN, _R.CALENDAR_CHANGE,
        }
    ),
    Role.COMPLIANCE_HEAD: _SUPERVISION | {
        _R.QUEUE_READ, _R.CONTENT_READ, _R.PERSONAL_REVEAL, _R.TICKETS_OPEN, _R.TICKETS_WORK, _R.TICKETS_ASSIGN,
        _R.TICKETS_APPROVE, _R.RULES_WORK, _R.AUDIT_RUN, _R.REPORTS_READ, _R.REPORTS_PREPARE, _R.REPORTS_APPROVE,
        _R.DUTIES_WORK, _R.CALENDAR_CHANGE, _R.DISCLOSURES_READ, _R.DISCLOSURES_REQUEST, _R.DISCLOSURES_APPROVE,
        _R.DISCLOSURES_HAND_OUT, _R.ARCHIVE_QUERY, _R.ARCHIVE_QUERY_RESTRICTED, _R.RETENTION_PROPOSE,
        _R.RETENTION_APPROVE, _R.DESTRUCTION_PLAN, _R.DESTRUCTION_APPROVE, _R.HOLDS_READ, _R.HOLDS_PLACE,
        _R.HOLDS_RELEASE, _R.PERSONS_READ, _R.PERSONS_WORK, _R.PERSONS_EXPORT, _R.RESTRICTIONS_LIFT, _R.KEYS_READ,
    },
    Role.COLLECTOR: frozenset({_R.LOGS_WRITE}),
}  # fmt: skip
"""An auditor reads and changes nothing; a system administrator reads no content."""

OPERATING: Final = _SUPERVISION | {_R.AUDIT_RUN, _R.ARCHIVE_OPERATE, _R.KEYS_READ}
"""What a user of the operating system may do once a store has accounts: run it and prove it, unattended (services,
timers, nightly audits and backups). Whatever decides something or shows content then needs an account."""


def permissions(roles: Iterable[Role]) -> frozenset[Right]:
    """Everything that an account with these roles may do."""
    return frozenset().union(*(GRANTS[role] for role in roles))


def holders(right: Right) -> str:
    """Which roles carry a right, in words."""
    return ", ".join(f"{role.value} {role.chinese}" for role in Role if right in GRANTS[role])
