"""People for tests of the queue."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from tickets.actors import Actor, Role
from tickets.reports.filing import ReportBook
from tickets.service import Desk

Seat = TypeVar("Seat", Desk, ReportBook)

MING = Actor("ming", frozenset({Role.REVIEWER}))
HONG = Actor("hong", frozenset({Role.REVIEWER}))
WANG = Actor("wang", frozenset({Role.COMPLIANCE_HEAD}))
LI = Actor("li", frozenset({Role.COMPLIANCE_HEAD}))
AUDITOR = Actor("shen", frozenset({Role.AUDITOR}))
ROOT = Actor("root", frozenset({Role.SYSTEM_ADMIN}))


def by(desk: Seat, who: Actor) -> Seat:
    """The same desk, or book of reports, with somebody else at it."""
    return replace(desk, actor=who)
