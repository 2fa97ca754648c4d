"""Accounts: made by a system administrator, given roles by a security administrator, never deleted.

Nobody changes their own roles or disables themselves. Every change is an event in the transaction that makes it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from console.access.passwords import check_password, hash_password
from console.access.roles import Right, Role, conflict, permissions
from console.access.secrets import readable
from console.errors import AccountError, AccountUnknownError, ForbiddenError
from console.tables import account_roles, recovery_codes, saved_views, sessions, tokens
from console.tables import accounts as table
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}")
TEMPORARY_LENGTH: Final = 20


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the console uses it; ``actor`` is how it stands in events and tickets."""

    account_id: str
    name: str
    display_name: str
    roles: frozenset[Role]
    must_change: bool
    has_password: bool
    has_totp: bool
    sso_subject: str | None
    locked_until: str | None
    disabled_at: str | None
    created_at: str
    last_sign_in_at: str | None

    @property
    def actor(self) -> str:
        """The account's name in events and tickets."""
        return f"user:{self.name}"

    @property
    def permissions(self) -> frozenset[Right]:
        """What its roles allow."""
        return permissions(self.roles)


def all_accounts(connection: sa.Connection) -> list[Account]:
    """Every account by name."""
    rows = connection.execute(sa.select(table).order_by(table.c.name)).all()
    roles = _roles(connection, [row.account_id for row in rows])
    return [_account(row, roles.get(row.account_id, frozenset())) for row in rows]


def account_by(connection: sa.Connection, *, account_id: str | None = None, name: str | None = None) -> Account:
    """One account by number or name.

    Raises:
        AccountUnknownError: there is none.
    """
    wanted = table.c.account_id == account_id if account_id is not None else table.c.name == name
    row = connection.execute(sa.select(table).where(wanted)).one_or_none()
    if row is None:
        raise AccountUnknownError(f"There is no account {name or account_id!r}.", cure="Look at the list of accounts.")
    return _account(row, _roles(connection, [row.account_id]).get(row.account_id, frozenset()))


def any_account(connection: sa.Connection) -> bool:
    """Whether the first account was made already."""
    return connection.execute(sa.select(table.c.account_id).limit(1)).first() is not None


def create_account(
    connection: sa.Connection, *, actor: str, name: str, display_name: str, password: str, must_change: bool
) -> str:
    """Make an account without roles in the caller's transaction and return its number.

    Raises:
        AccountError: the name is taken or not allowed.
        WeakPasswordError: the password does not meet the rules.
    """
    display_name = display_name.strip() or name
    if not NAME.fullmatch(name):
        raise AccountError(
            f"{name!r} cannot be an account's name.", cure="Use 2 to 32 lower-case letters, digits, '.', '_', '-'."
        )
    if len(display_name) > 64 or not display_name.isprintable():
        raise AccountError("The display name is too long or has signs that cannot be shown.", cure="Shorten it.")
    check_password(password, account=name)
    if connection.execute(sa.select(table.c.account_id).where(table.c.name == name)).first():
        raise AccountError(
            f"There is an account {name!r} already.", cure="Choose another name; names are never reused."
        )
    account_id = secrets.token_hex(16)
    now = timestamp()
    connection.execute(
        table.insert().values(
            account_id=account_id,
            name=name,
            display_name=display_name,
            password_hash=hash_password(password),
            password_changed_at=now,
            must_change=must_change,
            failures=0,
            totp_last_step=0,
            created_at=now,
        )
    )
    record(connection, "account.created", actor, name, {})
    return account_id


def invite(catalogue: Catalogue, *, by: Account, name: str, display_name: str) -> str:
    """Make an account with a temporary password, which is returned once and must be changed at the first sign-in."""
    temporary = readable(TEMPORARY_LENGTH)
    with catalogue.write() as connection:
        create_account(
            connection,
            actor=by.actor,
            name=name.strip(),
            display_name=display_name,
            password=temporary,
            must_change=True,
        )
    return temporary


def reset_password(catalogue: Catalogue, *, by: Account, name: str) -> str:
    """Give a temporary password (returned once), unlock the account, drop its second factor and end its sessions."""
    temporary = readable(TEMPORARY_LENGTH)
    hashed = hash_password(temporary)
    with catalogue.write() as connection:
        account = _other(connection, by, name)
        connection.execute(
            table.update()
            .where(table.c.account_id == account.account_id)
            .values(
                password_hash=hashed,
                password_changed_at=timestamp(),
                must_change=True,
                failures=0,
                locked_until=None,
                totp_secret=None,
                totp_confirmed_at=None,
            )
        )
        connection.execute(recovery_codes.delete().where(recovery_codes.c.account_id == account.account_id))
        end_sessions(connection, account.account_id)
        record(connection, "account.reset", by.actor, name, {})
    return temporary


def unlock(catalogue: Catalogue, *, by: Account, name: str) -> None:
    """Take a lock-out back before its time."""
    with catalogue.write() as connection:
        account = _other(connection, by, name)
        connection.execute(
            table.update().where(table.c.account_id == account.account_id).values(failures=0, locked_until=None)
        )
        record(connection, "account.unlocked", by.actor, name, {})


def set_disabled(catalogue: Catalogue, *, by: Account, name: str, disabled: bool) -> None:
    """Disable an account (its sessions and tokens end at once) or enable it again."""
    with catalogue.write() as connection:
        account = _other(connection, by, name)
        now = timestamp() if disabled else None
        connection.execute(table.update().where(table.c.account_id == account.account_id).values(disabled_at=now))
        if disabled:
            end_sessions(connection, account.account_id)
            connection.execute(
                tokens.update()
                .where(tokens.c.account_id == account.account_id, tokens.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
        record(connection, "account.disabled" if disabled else "account.enabled", by.actor, name, {})


def set_roles(catalogue: Catalogue, *, by: Account, name: str, roles: Iterable[Role]) -> None:
    """Give an account exactly these roles; its sessions go on with the new rights at their next step.

    Raises:
        ForbiddenError: one's own account.
        AccountError: roles that nobody holds together.
    """
    wanted = frozenset(roles)
    if conflict(wanted):
        raise AccountError(
            "An auditor holds no other role: who audits changes nothing.", cure="Give one of the two to another person."
        )
    with catalogue.write() as connection:
        account = _other(connection, by, name)
        connection.execute(account_roles.delete().where(account_roles.c.account_id == account.account_id))
        add_roles(connection, account.account_id, wanted)
        body = {"from": sorted(account.roles), "to": sorted(wanted)}
        record(connection, "account.roles_changed", by.actor, name, body)


def add_roles(connection: sa.Connection, account_id: str, roles: Iterable[Role]) -> None:
    """Enter roles in the caller's transaction."""
    rows = [{"account_id": account_id, "role": role.value} for role in sorted(roles)]
    if rows:
        connection.execute(account_roles.insert(), rows)


def set_sso_subject(catalogue: Catalogue, *, by: Account, name: str, subject: str) -> None:
    """Tie an account to a person of the identity provider (its ``sub`` claim); empty unties it."""
    wanted = subject.strip() or None
    if wanted is not None and len(wanted) > 255:
        raise AccountError("The subject is longer than 255 characters.", cure="Copy the provider's `sub` claim.")
    with catalogue.write() as connection:
        account = _other(connection, by, name)
        holder = connection.execute(sa.select(table.c.name).where(table.c.sso_subject == wanted)).scalar_one_or_none()
        if wanted is not None and holder not in (None, name):
            raise AccountError(f"{holder!r} is tied to this subject already.", cure="Untie that account first.")
        connection.execute(table.update().where(table.c.account_id == account.account_id).values(sso_subject=wanted))
        record(connection, "account.sso_changed", by.actor, name, {"tied": wanted is not None})


def end_sessions(connection: sa.Connection, account_id: str, *, besides: str | None = None) -> None:
    """End an account's sessions in the caller's transaction, but the one of the digest ``besides``."""
    condition = sessions.c.account_id == account_id
    if besides is not None:
        condition = sa.and_(condition, sessions.c.digest != besides)
    connection.execute(sessions.delete().where(condition))


def record(connection: sa.Connection, kind: str, actor: str, name: str, body: Mapping[str, object]) -> None:
    """Append an event about an account."""
    events.append(connection, kind=kind, actor=actor, subject=f"account:{name}", body=body)


def save_view(catalogue: Catalogue, *, by: Account, name: str, query: str) -> None:
    """Keep a filter of the queue under a name of one's own; the same name again replaces it."""
    name = name.strip()
    if not name or len(name) > 64 or len(query) > 2000:
        raise AccountError("The view needs a name of up to 64 characters.", cure="Shorten it.")
    v = saved_views.c
    with catalogue.write() as connection:
        connection.execute(saved_views.delete().where(v.account_id == by.account_id, v.name == name))
        connection.execute(
            saved_views.insert().values(
                view_id=secrets.token_hex(8), account_id=by.account_id, name=name, query=query, created_at=timestamp()
            )
        )
        record(connection, "view.saved", by.actor, by.name, {})


def drop_view(catalogue: Catalogue, *, by: Account, view_id: str) -> None:
    """Forget a saved filter of one's own."""
    v = saved_views.c
    with catalogue.write() as connection:
        connection.execute(saved_views.delete().where(v.account_id == by.account_id, v.view_id == view_id))
        record(connection, "view.dropped", by.actor, by.name, {})


def views_of(connection: sa.Connection, account: Account) -> list[tuple[str, str, str]]:
    """(number, name, query) of an account's saved filters."""
    v = saved_views.c
    found = sa.select(v.view_id, v.name, v.query).where(v.account_id == account.account_id).order_by(v.name)
    return [(row.view_id, row.name, row.query) for row in connection.execute(found)]


def _other(connection: sa.Connection, by: Account, name: str) -> Account:
    account = account_by(connection, name=name)
    if account.account_id == by.account_id:
        raise ForbiddenError("Nobody changes their own account's rights.", cure="Ask another administrator.")
    return account


def _roles(connection: sa.Connection, account_ids: list[str]) -> dict[str, frozenset[Role]]:
    found: dict[str, set[Role]] = {}
    rows = connection.execute(sa.select(account_roles).where(account_roles.c.account_id.in_(account_ids)))
    for row in rows:
        found.setdefault(row.account_id, set()).add(Role(row.role))
    return {number: frozenset(roles) for number, roles in found.items()}


def _account(row: sa.Row[tuple[object, ...]], roles: frozenset[Role]) -> Account:
    return Account(
        account_id=row.account_id,
        name=row.name,
        display_name=row.display_name,
        roles=roles,
        must_change=row.must_change,
        has_password=row.password_hash is not None,
        has_totp=row.totp_confirmed_at is not None,
        sso_subject=row.sso_subject,
        locked_until=row.locked_until,
        disabled_at=row.disabled_at,
        created_at=row.created_at,
        last_sign_in_at=row.last_sign_in_at,
    )
