"""People for tests of the queue."""

from __future__ import annotations

from dataclasses import replace

from tickets.actors import Actor, Role
from tickets.service import Desk

MING = Actor("ming", frozenset({Role.REVIEWER}))
HONG = Actor("hong", frozenset({Role.REVIEWER}))
WANG = Actor("wang", frozenset({Role.COMPLIANCE_HEAD}))
LI = Actor("li", frozenset({Role.COMPLIANCE_HEAD}))
AUDITOR = Actor("shen", frozenset({Role.AUDITOR}))
ROOT = Actor("root", frozenset({Role.SYSTEM_ADMIN}))


def by(desk: Desk, who: Actor) -> Desk:
    """The same desk with somebody else at it."""
    return replace(desk, actor=who)
