"""Errors of disclosure."""

from __future__ import annotations

from errors import CheckFailedError, NotPermittedError, UsageError


class DisclosureScopeError(UsageError):
    """The scope is empty, malformed, or asks for a field that does not exist."""


class DisclosureUnknownError(UsageError):
    """There is no such disclosure, or no such key of it."""

    status = 404


class DisclosureStateError(NotPermittedError):
    """The disclosure is not approved, or has expired."""

    status = 409


class DisclosureKeyError(NotPermittedError):
    """A key opens no disclosure: unknown, or its disclosure has expired or was refused."""

    status = 401


class BundleRefusedError(CheckFailedError):
    """A bundle is not what was signed, or not what was approved."""
