"""Errors of retention policies."""

from __future__ import annotations

from errors import NotPermittedError, SettingsError, UsageError


class PolicyFileError(SettingsError):
    """The retention matrix is damaged or contradicts itself."""


class FloorError(NotPermittedError):
    """A policy would keep records shorter than the law or the licence asks; the message names which."""


class PolicyUnknownError(UsageError):
    """There is no such class, policy version or unit."""


class PolicyStateError(UsageError):
    """The policy is not in the state that this step needs."""
