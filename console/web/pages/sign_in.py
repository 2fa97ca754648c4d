"""Sign-in in its stages, the first set-up, sign-out, and the switch of language."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access import first_run, sessions, sign_in, totp
from console.access.accounts import any_account
from console.access.limits import SIGN_IN
from console.access.sessions import Stage
from console.errors import AccountError, ForbiddenError, SetupLinkError, SignInFailedError
from console.i18n import LANGUAGES
from console.i18n import mark as _
from console.web.render import page, say
from console.web.visit import LANGUAGE_COOKIE, Gate, Visit
from errors import LiucunError

router = APIRouter()
Anybody = Annotated[Visit, Depends(Gate(public=True))]
WaitsForCode = Annotated[Visit, Depends(Gate(stages=(Stage.CODE,)))]
WaitsForChange = Annotated[Visit, Depends(Gate(stages=(Stage.CHANGE,)))]
WaitsForFactor = Annotated[Visit, Depends(Gate(stages=(Stage.ENROL,)))]
Begun = Annotated[Visit, Depends(Gate(stages=tuple(Stage)))]
Text = Annotated[str, Form(max_length=512)]

_STAGE_PAGES = {Stage.CODE: "/sign-in/code", Stage.CHANGE: "/sign-in/change", Stage.ENROL: "/sign-in/enrol"}


def safe_target(target: str) -> str:
    """A path of ours to go on to; anything else leads to the first page."""
    parts = urlsplit(target)
    plain = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if plain and not parts.netloc and not parts.scheme and len(target) < 2000 else "/"


def go_on(visit: Visit, secret: str, stage: Stage, target: str = "/") -> Response:
    """To the next stage of signing in, or to where the person wanted."""
    response = RedirectResponse(_STAGE_PAGES.get(stage, safe_target(target)), status_code=303)
    visit.keep(response, secret)
    return response


def sso_title(visit: Visit) -> str | None:
    """Title of the identity provider, where there is one."""
    return visit.parts.settings.oidc.title if visit.parts.settings.oidc else None


@router.get("/sign-in")
def form(visit: Anybody, target: str = "/") -> Response:
    """The form; who is signed in already goes on."""
    if visit.session is not None:
        return go_on(visit, visit.secret, visit.session.stage, target)
    with visit.parts.catalogue.read() as connection:
        empty = not any_account(connection)
    return page(visit, "sign_in.html", target=safe_target(target), failed=None, sso=sso_title(visit), empty=empty)


@router.post("/sign-in")
def enter(request: Request, visit: Anybody, name: Text = "", password: Text = "", target: Text = "/") -> Response:
    """Check name and password."""
    request.app.state.limiter.take(SIGN_IN, "sign-in", visit.visitor.address)
    try:
        secret, stage = sign_in.sign_in(
            visit.parts.catalogue, name, password, visit.visitor, require_totp=visit.parts.settings.require_totp
        )
    except SignInFailedError as error:
        failed = say(visit, labels.error_text(error))
        return page(
            visit,
            "sign_in.html",
            status=401,
            target=safe_target(target),
            failed=failed,
            sso=sso_title(visit),
            name=name[:64],
        )
    return go_on(visit, secret, stage, target)


@router.get("/sign-in/code")
def code_form(visit: WaitsForCode) -> Response:
    """Ask for the code of the second factor."""
    return page(visit, "sign_in_code.html", failed=None)


@router.post("/sign-in/code")
def code(request: Request, visit: WaitsForCode, code: Text = "") -> Response:
    """Check it."""
    request.app.state.limiter.take(SIGN_IN, "sign-in", visit.visitor.address)
    assert visit.session is not None
    try:
        secret, stage = sign_in.second_factor(
            visit.parts.catalogue,
            visit.parts.bodies,
            visit.session,
            code,
            visit.visitor,
            require_totp=visit.parts.settings.require_totp,
        )
    except SignInFailedError as error:
        return page(visit, "sign_in_code.html", status=401, failed=say(visit, labels.error_text(error)))
    return go_on(visit, secret, stage)


@router.get("/sign-in/change")
def change_form(visit: WaitsForChange) -> Response:
    """Ask for a new password before anything else."""
    return page(visit, "sign_in_change.html", failed=None, detail=None)


@router.post("/sign-in/change")
def change(visit: WaitsForChange, old: Text = "", new: Text = "", again: Text = "") -> Response:
    """Take the new password."""
    assert visit.session is not None
    try:
        if new != again:
            raise AccountError("The two new passwords differ.", cure="Type the same twice.")
        secret, stage = sign_in.change_password(
            visit.parts.catalogue,
            visit.session,
            old,
            new,
            visit.visitor,
            require_totp=visit.parts.settings.require_totp,
        )
    except LiucunError as error:
        failed = say(visit, labels.error_text(error))
        return page(visit, "sign_in_change.html", status=400, failed=failed, detail=str(error))
    return go_on(visit, secret, stage)


@router.get("/sign-in/enrol")
def enrol_form(visit: WaitsForFactor) -> Response:
    """Show the QR code of a new second factor, which everybody must have here."""
    return enrol_page(visit)


def enrol_page(visit: Visit, *, status: int = 200, failed: str | None = None) -> Response:
    """The QR code and the field for the first code."""
    parts = visit.parts
    secret = totp.pending(parts.catalogue, parts.bodies, visit.account) or totp.start(
        parts.catalogue, parts.bodies, visit.account
    )
    picture = totp.picture(secret, visit.account)
    return page(visit, "enrol.html", status=status, failed=failed, secret=secret, picture=picture)


@router.post("/sign-in/enrol")
def enrol(visit: WaitsForFactor, code: Text = "") -> Response:
    """Put the second factor in force and show the recovery codes once."""
    assert visit.session is not None
    try:
        codes = totp.confirm(visit.parts.catalogue, visit.parts.bodies, visit.account, code)
    except AccountError as error:
        return enrol_page(visit, status=400, failed=say(visit, labels.error_text(error)))
    with visit.parts.catalogue.write() as connection:
        secret = sessions.advance(
            connection, visit.session, Stage.FULL, address=visit.visitor.address, agent=visit.visitor.agent
        )
    visit.secret = secret
    return page(visit, "recovery.html", codes=codes)


@router.post("/sign-out")
def sign_out(visit: Begun) -> Response:
    """End the session."""
    assert visit.session is not None
    sessions.end(visit.parts.catalogue, visit.session)
    return RedirectResponse("/sign-in", status_code=303)


@router.get("/setup")
def setup_form(visit: Anybody, link: str = "") -> Response:
    """The form of the first account, for whoever has the printed link."""
    with visit.parts.catalogue.read() as connection:
        first_run.check_setup(connection, link)
    return page(visit, "setup.html", link=link, failed=None, detail=None, values={})


@router.post("/setup")
def setup(
    request: Request,
    visit: Anybody,
    link: Text = "",
    name: Text = "",
    display_name: Text = "",
    password: Text = "",
    again: Text = "",
) -> Response:
    """Make the first account and ask for a sign-in."""
    request.app.state.limiter.take(SIGN_IN, "sign-in", visit.visitor.address)
    try:
        if password != again:
            raise AccountError("The two passwords differ.", cure="Type the same twice.")
        first_run.first_account(
            visit.parts.catalogue, link, name=name.strip(), display_name=display_name, password=password
        )
    except SetupLinkError:
        raise
    except LiucunError as error:
        values = {"name": name, "display_name": display_name}
        failed = say(visit, labels.error_text(error))
        again_at = f"/setup?{urlencode({'link': link})}"
        return page(
            visit, "setup.html", status=400, here=again_at, link=link, failed=failed, detail=str(error), values=values
        )
    response = RedirectResponse("/sign-in", status_code=303)
    visit.say(response, say(visit, _("第一个账号已建立，请登录。")))
    return response


@router.post("/language")
def language(visit: Anybody, language: Text = "", target: Text = "/") -> Response:
    """Switch the language of the pages in this browser."""
    if language not in LANGUAGES:
        raise ForbiddenError("There is no such language.", cure="Choose one of the page.")
    response = RedirectResponse(safe_target(target), status_code=303)
    response.set_cookie(
        LANGUAGE_COOKIE, language, max_age=366 * 86400, samesite="lax", httponly=True, secure=visit.parts.secure
    )
    visit.keep(response)
    return response
