"""Who calls the API: a bearer token, its account, and what both allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from console.access import tokens
from console.access.accounts import Account
from console.access.limits import ANYBODY, REQUESTS, Limiter, Rate
from console.access.roles import Right
from console.access.secrets import digest
from console.errors import ForbiddenError, SignInRequiredError
from console.parts import Parts
from tickets.duties import DutyBook
from tickets.reports.filing import ReportBook
from tickets.service import Desk

SCHEME: Final = HTTPBearer(
    auto_error=False, description="A token made on the console's page of one's own account (`lct_…`)."
)


@dataclass(frozen=True, slots=True)
class Caller:
    """An account, through one of its tokens."""

    parts: Parts
    account: Account
    permissions: frozenset[Right]

    def may(self, permission: Right) -> bool:
        """Whether both token and account allow it."""
        return permission in self.permissions

    def desk(self) -> Desk:
        """The disposal queue with the caller at work: it too allows no more than the token was made for."""
        return self.parts.desk(self.account, self.permissions)

    def reports(self) -> ReportBook:
        """The reports with the caller at work, likewise."""
        return self.parts.reports(self.account, self.permissions)

    def duties(self) -> DutyBook:
        """The register of duties with the caller at work, likewise."""
        return self.parts.duties(self.account, self.permissions)


class Needs:
    """A dependency that lets a call through, or not. Every route but health has exactly one."""

    def __init__(self, *needs: Right, any_of: bool = False, rate: Rate = REQUESTS) -> None:
        self.needs = frozenset(needs)
        self.any_of = any_of
        self.rate = rate

    def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(SCHEME)]
    ) -> Caller:
        """Check limits, token and rights.

        Raises:
            TooManyRequestsError, SignInRequiredError, ForbiddenError
        """
        parts: Parts = request.app.state.parts
        limiter: Limiter = request.app.state.limiter
        address = request.client.host if request.client else ""
        if credentials is None:
            limiter.take(ANYBODY, "api", address)
            raise SignInRequiredError("A token is missing.", cure="Send the header Authorization: Bearer lct_….")
        limiter.take(self.rate, self.rate.name, digest(credentials.credentials))
        try:
            found = tokens.bearer(parts.catalogue, credentials.credentials)
        except SignInRequiredError:
            limiter.take(ANYBODY, "api", address)
            raise
        missing = self.needs - found.permissions
        if missing and not (self.any_of and self.needs & found.permissions):
            raise ForbiddenError(
                f"The token lacks the right {', '.join(sorted(missing))}.",
                cure="Use a token of an account that has it.",
            )
        return Caller(parts, found.account, found.permissions)
