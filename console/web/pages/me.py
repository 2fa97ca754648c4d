"""One's own account: password, second factor, sessions, tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access import sessions, sign_in, tokens, totp
from console.access.accounts import end_sessions, record
from console.access.roles import Right
from console.errors import AccountError
from console.i18n import mark as _
from console.web.pages.sign_in import enrol_page
from console.web.render import page, say
from console.web.visit import Gate, Visit
from errors import LiucunError

router = APIRouter(prefix="/me")
Me = Annotated[Visit, Depends(Gate())]
Text = Annotated[str, Form(max_length=512)]


@router.get("")
def show(visit: Me) -> Response:
    """Everything about one's own account."""
    return _page(visit)


def _page(visit: Visit, *, status: int = 200, error: LiucunError | None = None, issued: str | None = None) -> Response:
    with visit.parts.catalogue.read() as connection:
        mine = tokens.tokens_of(connection, visit.account)
        live = sessions.sessions_of(connection, visit.account)
    assert visit.session is not None
    return page(
        visit,
        "me.html",
        status=status,
        tokens=mine,
        sessions=live,
        this=visit.session.digest[:12],
        issued=issued,
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


@router.post("/password")
def password(visit: Me, old: Text = "", new: Text = "", again: Text = "") -> Response:
    """Change the password; all other sessions end."""
    assert visit.session is not None
    try:
        if new != again:
            raise AccountError("The two new passwords differ.", cure="Type the same twice.")
        secret, _stage = sign_in.change_password(
            visit.parts.catalogue,
            visit.session,
            old,
            new,
            visit.visitor,
            require_totp=visit.parts.settings.require_totp,
        )
    except LiucunError as error:
        return _page(visit, status=400, error=error)
    response = RedirectResponse("/me", status_code=303)
    visit.keep(response, secret)
    visit.say(response, say(visit, _("口令已修改，其他会话已全部退出。")))
    return response


@router.get("/totp")
def totp_form(visit: Me) -> Response:
    """Begin a second factor."""
    if visit.account.has_totp:
        return RedirectResponse("/me", status_code=303)
    return enrol_page(visit)


@router.post("/totp")
def totp_add(visit: Me, code: Text = "") -> Response:
    """Put it in force and show the recovery codes once."""
    try:
        codes = totp.confirm(visit.parts.catalogue, visit.parts.bodies, visit.account, code)
    except AccountError as error:
        return enrol_page(visit, status=400, failed=say(visit, labels.error_text(error)))
    return page(visit, "recovery.html", codes=codes)


@router.post("/totp/remove")
def totp_remove(visit: Me, code: Text = "") -> Response:
    """Take it off, with a code of it."""
    try:
        totp.remove(visit.parts.catalogue, visit.parts.bodies, visit.account, code)
    except AccountError as error:
        return _page(visit, status=400, error=error)
    response = RedirectResponse("/me", status_code=303)
    visit.say(response, say(visit, _("动态口令已停用。")))
    return response


@router.post("/sessions/end")
def end_others(visit: Me) -> Response:
    """Sign out everywhere else."""
    assert visit.session is not None
    with visit.parts.catalogue.write() as connection:
        end_sessions(connection, visit.account.account_id, besides=visit.session.digest)
        record(connection, "account.signed_out", visit.account.actor, visit.account.name, {"others": True})
    response = RedirectResponse("/me", status_code=303)
    visit.say(response, say(visit, _("其他会话已全部退出。")))
    return response


@router.post("/tokens")
def token_issue(
    visit: Me,
    name: Text = "",
    days: Annotated[int, Form()] = 30,
    permission: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Make a token and show it once."""
    try:
        token = tokens.issue(
            visit.parts.catalogue, visit.account, name=name, days=days, permissions=_rights(permission)
        )
    except AccountError as error:
        return _page(visit, status=400, error=error)
    return _page(visit, issued=token)


@router.post("/tokens/revoke")
def token_revoke(visit: Me, token_id: Text = "") -> Response:
    """Take a token back."""
    tokens.revoke(visit.parts.catalogue, visit.account, token_id)
    response = RedirectResponse("/me", status_code=303)
    visit.say(response, say(visit, _("令牌已吊销。")))
    return response


def _rights(names: list[str] | None) -> list[Right]:
    try:
        return [Right(name) for name in names or ()]
    except ValueError as error:
        raise AccountError("There is no such right.", cure="Choose among your own.") from error
