"""Errors of destruction."""

from __future__ import annotations

from errors import BusyError, CheckFailedError, NotPermittedError, UsageError


class ClockRefusedError(CheckFailedError):
    """This machine's clock disagrees with what the archive has witnessed; nothing is destroyed by such a clock."""


class PurgeUnknownError(UsageError):
    """There is no such purge."""


class PurgeStateError(UsageError):
    """The purge is not in the state that this step needs, or its wait is not over."""


class PurgeApprovalError(NotPermittedError):
    """Who planned a purge may not approve it, and only the plan that was shown can be approved."""


class NothingDueError(UsageError):
    """Nothing in the archive may be destroyed today."""


class PurgeUnfinishedError(BusyError):
    """A part of a purge could not be carried out yet; the same command goes on with it."""


class CertificateError(CheckFailedError):
    """A certificate of destruction and the facts do not agree."""
