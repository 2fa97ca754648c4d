"""Sign-in through the identity provider: there and back. The state is bound to the browser by a cookie."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from console.access import sign_in
from console.access.limits import SIGN_IN
from console.access.secrets import same
from console.access.single_sign_on import Provider, refused
from console.errors import PageUnknownError
from console.web.pages.sign_in import go_on, safe_target
from console.web.visit import Gate, Visit

router = APIRouter(prefix="/sign-in/sso")
Anybody = Annotated[Visit, Depends(Gate(public=True))]
COOKIE: Final = "liucun_sso"


def provider_of(request: Request) -> Provider:
    """The provider, where the settings name one.

    Raises:
        PageUnknownError: they name none.
    """
    found = request.app.state.provider
    if not isinstance(found, Provider):
        raise PageUnknownError("There is no identity provider.", cure="Sign in with name and password.")
    return found


@router.get("")
def begin(request: Request, visit: Anybody, target: Annotated[str, Query(max_length=2000)] = "/") -> Response:
    """Send the browser to the provider."""
    request.app.state.limiter.take(SIGN_IN, "sso", visit.visitor.address)
    address, state = provider_of(request).begin(visit.parts.catalogue, safe_target(target))
    response = RedirectResponse(address, status_code=303)
    response.set_cookie(
        COOKIE, state, max_age=600, httponly=True, samesite="lax", secure=visit.parts.secure, path="/sign-in/sso"
    )
    return response


@router.get("/back")
def back(
    request: Request,
    visit: Anybody,
    code: Annotated[str, Query(max_length=4096)] = "",
    state: Annotated[str, Query(max_length=256)] = "",
    error: Annotated[str, Query(max_length=256)] = "",
) -> Response:
    """Take what the provider says and sign the person in."""
    provider = provider_of(request)
    if error or not code:
        raise refused("the provider refused")
    if not state or not same(state, request.cookies.get(COOKIE, "")):
        raise refused("it was begun in another browser")
    subject, target = provider.finish(visit.parts.catalogue, state, code)
    secret, stage = sign_in.sign_in_by_subject(
        visit.parts.catalogue, subject, visit.visitor, require_totp=visit.parts.settings.require_totp
    )
    response = go_on(visit, secret, stage, target)
    response.delete_cookie(COOKIE, path="/sign-in/sso")
    return response
