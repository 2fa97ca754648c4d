"""Errors of persons' rights."""

from __future__ import annotations

from errors import BusyError, StorageError, UsageError


class RestrictionError(UsageError):
    """The account is restricted already, or is not, or none is named."""


class RequestUnknownError(UsageError):
    """There is no such request."""


class RequestStateError(UsageError):
    """The request is answered already, or is not of the kind that this step needs."""


class RecordTooLargeError(StorageError):
    """A record of the person is larger than an answer of the query room may be: no copy can hold it."""


class CopyChangedError(BusyError):
    """Records were destroyed, and others came in, while they were copied: their number cannot be checked."""
