"""Users and roles: who there is, what they may do, and the buttons of administrators."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access import accounts
from console.access.roles import GRANTS, Right, Role
from console.errors import AccountError
from console.i18n import mark as _
from console.web.render import page, say
from console.web.visit import Gate, Visit
from errors import LiucunError
from retention.catalogue.tables import events, timestamp

router = APIRouter(prefix="/accounts")
Reader = Annotated[Visit, Depends(Gate(Right.ACCOUNTS_READ))]
Manager = Annotated[Visit, Depends(Gate(Right.ACCOUNTS_MANAGE))]
Granter = Annotated[Visit, Depends(Gate(Right.ROLES_GRANT))]
Text = Annotated[str, Form(max_length=512)]
_TRAIL = 50


@router.get("")
def show(visit: Reader) -> Response:
    """Every account, and the table of roles and rights."""
    return _list(visit)


def _list(
    visit: Visit, *, status: int = 200, error: LiucunError | None = None, made: tuple[str, str] | None = None
) -> Response:
    with visit.parts.catalogue.read() as connection:
        found = accounts.all_accounts(connection)
    return page(
        visit,
        "accounts.html",
        status=status,
        accounts=found,
        now=timestamp(),
        roles=tuple(Role),
        grants=GRANTS,
        permissions=tuple(Right),
        made=made,
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


@router.post("")
def create(visit: Manager, name: Text = "", display_name: Text = "") -> Response:
    """Make an account; its temporary password is shown once."""
    try:
        temporary = accounts.invite(visit.parts.catalogue, by=visit.account, name=name, display_name=display_name)
    except AccountError as error:
        return _list(visit, status=400, error=error)
    return _list(visit, made=(name.strip(), temporary))


@router.get("/{name}")
def one(visit: Reader, name: str) -> Response:
    """One account with what happened to it."""
    return _one(visit, name)


def _one(
    visit: Visit, name: str, *, status: int = 200, error: LiucunError | None = None, temporary: str | None = None
) -> Response:
    with visit.parts.catalogue.read() as connection:
        account = accounts.account_by(connection, name=name)
        trail = connection.execute(
            sa.select(events.c.at, events.c.kind, events.c.actor)
            .where(events.c.subject == f"account:{name}")
            .order_by(events.c.id.desc())
            .limit(_TRAIL)
        ).all()
    return page(
        visit,
        "account.html",
        status=status,
        account=account,
        now=timestamp(),
        roles=tuple(Role),
        trail=trail,
        temporary=temporary,
        oneself=account.account_id == visit.account.account_id,
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


@router.post("/{name}/roles")
def roles(visit: Granter, name: str, role: Annotated[list[str] | None, Form()] = None) -> Response:
    """Give exactly these roles."""
    try:
        accounts.set_roles(visit.parts.catalogue, by=visit.account, name=name, roles=_roles(role or []))
    except AccountError as error:
        return _one(visit, name, status=400, error=error)
    return _back(visit, name, _("角色已更新，立即生效。"))


@router.post("/{name}/reset")
def reset(visit: Manager, name: str) -> Response:
    """A temporary password, shown once."""
    return _one(visit, name, temporary=accounts.reset_password(visit.parts.catalogue, by=visit.account, name=name))


@router.post("/{name}/unlock")
def unlock(visit: Manager, name: str) -> Response:
    """Take a lock-out back."""
    accounts.unlock(visit.parts.catalogue, by=visit.account, name=name)
    return _back(visit, name, _("已解除锁定。"))


@router.post("/{name}/disable")
def disable(visit: Manager, name: str) -> Response:
    """Shut the account."""
    accounts.set_disabled(visit.parts.catalogue, by=visit.account, name=name, disabled=True)
    return _back(visit, name, _("账号已停用，其会话与令牌已全部失效。"))


@router.post("/{name}/enable")
def enable(visit: Manager, name: str) -> Response:
    """Open it again."""
    accounts.set_disabled(visit.parts.catalogue, by=visit.account, name=name, disabled=False)
    return _back(visit, name, _("账号已启用。"))


@router.post("/{name}/sso")
def sso(visit: Manager, name: str, subject: Text = "") -> Response:
    """Tie the account to a person of the identity provider."""
    try:
        accounts.set_sso_subject(visit.parts.catalogue, by=visit.account, name=name, subject=subject)
    except AccountError as error:
        return _one(visit, name, status=400, error=error)
    return _back(visit, name, _("单点登录绑定已更新。"))


def _back(visit: Visit, name: str, text: str) -> Response:
    response = RedirectResponse(f"/accounts/{name}", status_code=303)
    visit.say(response, say(visit, text))
    return response


def _roles(names: list[str]) -> list[Role]:
    try:
        return [Role(name) for name in names]
    except ValueError as error:
        raise AccountError("There is no such role.", cure="Choose among those of the page.") from error
