"""Which HTTP status an error of the tree is."""

from __future__ import annotations

from errors import BusyError, IntegrityError, LiucunError, NotPermittedError, StorageError, UnreachableError, UsageError
from retention.intake.errors import IntakeBusyError, IntakeConflictError, IntakeFullError, IntakeSourceError
from tickets.errors import TicketUnknownError, TransitionError


def status_of(error: LiucunError) -> int:
    """The status: the error's own, or that of the nearest class."""
    own = getattr(error, "status", None)
    if isinstance(own, int):
        return own
    for cls, status in (
        (IntakeSourceError, 404),
        (IntakeConflictError, 409),
        (IntakeBusyError, 429),
        (IntakeFullError, 503),
        (TicketUnknownError, 404),
        (TransitionError, 409),
        (BusyError, 409),
        (NotPermittedError, 403),
        (UsageError, 400),
        (UnreachableError, 503),
        (StorageError, 503),
        (IntegrityError, 500),
    ):
        if isinstance(error, cls):
            return status
    return 500
