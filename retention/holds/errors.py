"""Errors of holds."""

from __future__ import annotations

from errors import NotPermittedError, UsageError


class HoldUnknownError(UsageError):
    """There is no such hold."""


class HoldStateError(UsageError):
    """The hold is released already."""


class HoldTargetError(UsageError):
    """What should be held is not named, does not exist, or cannot be found in the archive."""


class HoldReleaseError(NotPermittedError):
    """A hold is released with a reason and a document only."""
