"""Errors of queries."""

from __future__ import annotations

from errors import StorageError, UsageError


class QueryRefusedError(UsageError):
    """The text is not one reading statement, has no purpose, or reaches for what queries may not touch."""


class QueryInvalidError(UsageError):
    """The SQL cannot be run as it is written: syntax, names, types, a value that does not convert."""


class QueryTooLargeError(StorageError):
    """The query needs more memory, or gives a larger result, than it is allowed."""


class QueryTimeoutError(StorageError):
    """The query ran longer than it is allowed."""


class QueryInterruptedError(StorageError):
    """The query was interrupted by the person who asked."""


def bare(error: BaseException) -> BaseException:
    """The error without tracebacks, its causes likewise: their frames would keep the segments' files alive."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
