"""The desk: every step that a person or timed work may take with tickets, in one place.

Each step checks the right of who acts, the state and the version, writes the ticket and
appends its event in one transaction. Two people acting at once: the one whose step comes
second is told so.

The steps stand in ``tickets.steps``: taking the next one, opening by hand, joining, bulk, reporting, the second
person, disposal, triage.
"""

from __future__ import annotations

from dataclasses import dataclass

from tickets.steps.base import MAX_NOTE
from tickets.steps.taking import TakingSteps

__all__ = ["MAX_NOTE", "Desk"]


@dataclass(frozen=True)
class Desk(TakingSteps):
    """A person at work on the queue of a store: ``actor`` is who acts, an ``Actor`` or a bare name."""
