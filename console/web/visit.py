"""Who is visiting a page: session, account, rights, language; and the gate that every route stands behind."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from console.access import sessions
from console.access.accounts import Account
from console.access.limits import ANYBODY, REQUESTS, Limiter
from console.access.roles import Right
from console.access.secrets import form_token, new_secret, same
from console.access.sessions import Session, Stage
from console.access.sign_in import Visitor
from console.errors import CsrfError, ForbiddenError, SignInRequiredError
from console.i18n import DEFAULT, LANGUAGES
from console.parts import Parts

LANGUAGE_COOKIE: Final = "liucun_language"
FLASH_COOKIE: Final = "liucun_said"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Visit:
    """One request of a person. ``secret`` is the cookie's, of a session or (before sign-in) of the visit alone."""

    request: Request
    parts: Parts
    secret: str
    session: Session | None
    language: str

    @property
    def account(self) -> Account:
        """Who is signed in.

        Raises:
            SignInRequiredError: nobody.
        """
        if self.session is None:
            raise SignInRequiredError("Nobody is signed in.", cure="Sign in.")
        return self.session.account

    @property
    def signed_in(self) -> bool:
        """Whether somebody is, with nothing more asked of them."""
        return self.session is not None and self.session.stage is Stage.FULL

    def may(self, permission: str) -> bool:
        """Whether the account has a right."""
        return self.signed_in and Right(permission) in self.account.permissions

    @property
    def form_token(self) -> str:
        """What forms of this visit carry."""
        return form_token(self.secret)

    @property
    def visitor(self) -> Visitor:
        """The other end of the connection."""
        return visitor_of(self.request)

    def keep(self, response: Response, secret: str | None = None) -> None:
        """Set the session's cookie; without a new secret, the one of the visit."""
        self.secret = secret or self.secret
        response.set_cookie(
            session_cookie(self.parts), self.secret, httponly=True, samesite="lax", secure=self.parts.secure, path="/"
        )

    def say(self, response: Response, text: str, *, tone: str = "good", undo: str | None = None) -> None:
        """Show a sentence on the next page; ``undo`` is the token of a step that can be taken back."""
        body = json.dumps({"text": text, "tone": tone, "undo": undo}).encode()
        signed = base64.urlsafe_b64encode(_sign(self.secret, body) + body).decode()
        response.set_cookie(
            FLASH_COOKIE, signed, max_age=60, httponly=True, samesite="lax", secure=self.parts.secure, path="/"
        )

    def heard(self) -> dict[str, str | None] | None:
        """What the page before had to say."""
        try:
            raw = base64.urlsafe_b64decode(self.request.cookies.get(FLASH_COOKIE, "").encode("ascii", "replace"))
        except (ValueError, binascii.Error):
            return None
        if len(raw) < 33 or not hmac.compare_digest(raw[:32], _sign(self.secret, raw[32:])):
            return None
        found = json.loads(raw[32:])
        return found if isinstance(found, dict) else None


def _sign(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), b"liucun/console/said/v1\x00" + body, hashlib.sha256).digest()


def session_cookie(parts: Parts) -> str:
    """Name of the session's cookie; the prefix binds it to this host and to https."""
    return "__Host-liucun" if parts.secure else "liucun_session"


def visitor_of(request: Request) -> Visitor:
    """Address and browser of a request."""
    return Visitor(request.client.host if request.client else "", request.headers.get("user-agent", ""))


async def visit_of(request: Request) -> Visit:
    """Find the session of a request; one without a cookie gets a secret of its own for its forms."""
    parts: Parts = request.app.state.parts
    secret = request.cookies.get(session_cookie(parts), "")
    session = await run_in_threadpool(sessions.resolve, parts.catalogue, secret)
    if not 20 <= len(secret) <= 128 or not secret.isascii():
        secret = new_secret()
    language = request.cookies.get(LANGUAGE_COOKIE, DEFAULT)
    visit = Visit(request, parts, secret, session, language if language in LANGUAGES else DEFAULT)
    request.state.visit = visit
    return visit


class Gate:
    """A dependency that lets a request through, or not. Every route has exactly one."""

    def __init__(
        self,
        *needs: Right,
        any_of: bool = False,
        stages: tuple[Stage, ...] = (Stage.FULL,),
        public: bool = False,
    ) -> None:
        self.needs = frozenset(needs)
        self.any_of = any_of
        self.stages = stages
        self.public = public

    async def __call__(self, request: Request) -> Visit:
        """Check limits, session, rights and, for whatever changes something, the form's token.

        Raises:
            TooManyRequestsError, SignInRequiredError, ForbiddenError, CsrfError
        """
        visit = await visit_of(request)
        limiter: Limiter = request.app.state.limiter
        if visit.session is None:
            limiter.take(ANYBODY, "pages", visit.visitor.address)
        else:
            limiter.take(REQUESTS, "pages", visit.session.digest)
        if not self.public:
            if visit.session is None or visit.session.stage not in self.stages:
                raise SignInRequiredError("Nobody is signed in.", cure="Sign in.")
            missing = self.needs - visit.account.permissions
            if missing and not (self.any_of and self.needs & visit.account.permissions):
                raise ForbiddenError(
                    f"The account {visit.account.name} lacks the right {', '.join(sorted(missing))}.",
                    cure="Ask a security administrator for a role that has it.",
                )
        if request.method not in _SAFE:
            await check_form(visit)
        return visit


async def check_form(visit: Visit) -> None:
    """Refuse a form that does not come from a page of this visit.

    Raises:
        CsrfError: its token is missing or another session's, or the browser names another site as its origin.
    """
    request = visit.request
    refused = CsrfError("The form did not come from a page of this session.", cure="Open the page again and repeat.")
    origin = request.headers.get("origin")
    if origin is not None and origin != "null" and urlsplit(origin).netloc != request.headers.get("host"):
        raise refused
    if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise refused
    form = await request.form()
    given = form.get("token")
    if not isinstance(given, str) or not same(given, visit.form_token):
        raise refused
