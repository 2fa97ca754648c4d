"""Errors of persons' rights."""

from __future__ import annotations

from errors import UsageError


class RestrictionError(UsageError):
    """The account is restricted already, or is not, or none is named."""


class RequestUnknownError(UsageError):
    """There is no such request."""


class RequestStateError(UsageError):
    """The request is answered already, or is not of the kind that this step needs."""
