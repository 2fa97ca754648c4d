"""The console's branch of the tree of errors; ``status`` is what an HTTP client sees."""

from __future__ import annotations

from errors import NotPermittedError, UsageError


class SignInRequiredError(NotPermittedError):
    """Nobody is signed in, the session ended, or the token is not valid (401)."""

    status = 401


class ForbiddenError(NotPermittedError):
    """The account has no right to this (403)."""

    status = 403


class CsrfError(ForbiddenError):
    """A form came without the token of its session, or from another site."""


class SignInFailedError(NotPermittedError):
    """Name, password or code do not fit, or the account is locked: which of these is not said (401)."""

    status = 401


class AccountError(UsageError):
    """An account cannot be made or changed like this (400)."""

    status = 400


class AccountUnknownError(AccountError):
    """There is no account of that name (404)."""

    status = 404


class WeakPasswordError(AccountError):
    """The password does not meet the rules."""


class SetupLinkError(NotPermittedError):
    """The set-up link was used, is too old, or never was one (403)."""

    status = 403


class TooManyRequestsError(NotPermittedError):
    """The caller asked too often; ``retry_after`` is in seconds (429)."""

    status = 429

    def __init__(self, what: str, *, cure: str, retry_after: int = 60) -> None:
        super().__init__(what, cure=cure)
        self.retry_after = retry_after


class SingleSignOnError(NotPermittedError):
    """The identity provider refused, or its answer does not verify (401)."""

    status = 401


class PageUnknownError(UsageError):
    """There is nothing at this address (404)."""

    status = 404


class LinesRefusedError(UsageError):
    """The lines of a request cannot be taken over as they came; ``status`` is 400, 408, 413 or 415."""

    def __init__(self, status: int, what: str, *, cure: str) -> None:
        super().__init__(what, cure=cure)
        self.status = status
