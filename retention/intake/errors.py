"""What can go wrong with the intake journal, for whoever hands lines over; ``retry_after`` is in seconds."""

from __future__ import annotations

from errors import BusyError, StorageError, UsageError


class IntakeBusyError(BusyError):
    """More is being handed over at this moment than can be synced; the same request may go through in a second."""

    retry_after = 1


class IntakeFullError(StorageError):
    """The journal takes nothing more: the archive is behind, the disk is nearly full, or it failed."""

    retry_after = 30


class IntakeConflictError(UsageError):
    """The idempotency key was used for other lines before."""


class IntakeSourceError(UsageError):
    """No source of kind ``collector`` has this name."""
