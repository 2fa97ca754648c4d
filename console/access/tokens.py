"""Tokens for the HTTP API and the command line (``LIUCUN_TOKEN``).

A token may do no more than its account at the moment of use, and no more than it was made for.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from console.access.accounts import Account, account_by, record
from console.access.roles import Right
from console.access.secrets import digest, new_secret
from console.errors import AccountError, SignInRequiredError
from console.tables import tokens as table
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp

PREFIX: Final = "lct_"
MAX_DAYS: Final = 366
_TOUCH: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class TokenLine:
    """A token as its owner sees it."""

    token_id: str
    name: str
    permissions: tuple[str, ...]
    created_at: str
    expires_at: str
    last_used_at: str | None
    revoked_at: str | None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who uses a token, and what the token allows."""

    account: Account
    permissions: frozenset[Right]


def issue(
    catalogue: Catalogue, account: Account, *, name: str, days: int, permissions: Iterable[Right] | None = None
) -> str:
    """Make a token for one's own account; it is returned once. ``permissions`` default to all of the account's.

    Raises:
        AccountError: no name, too long a life, or a permission that the account has not.
    """
    name = name.strip()
    wanted = frozenset(account.permissions if permissions is None else permissions)
    if not name or len(name) > 64 or not name.isprintable():
        raise AccountError("The token needs a name of up to 64 characters.", cure="Say what it is for.")
    if not 1 <= days <= MAX_DAYS:
        raise AccountError(f"A token lives 1 to {MAX_DAYS} days.", cure="Choose a number between the two.")
    if not wanted or wanted - account.permissions:
        raise AccountError("A token can do only what its account may.", cure="Choose among your own rights.")
    token = PREFIX + new_secret()
    now = datetime.now(UTC)
    with catalogue.write() as connection:
        token_id = secrets.token_hex(8)
        connection.execute(
            table.insert().values(
                token_id=token_id,
                digest=digest(token),
                account_id=account.account_id,
                name=name,
                permissions=json.dumps(sorted(wanted)),
                created_at=timestamp(now),
                expires_at=timestamp(now + timedelta(days=days)),
            )
        )
        record(connection, "token.issued", account.actor, account.name, {"token": token_id, "days": days})
    return token


def bearer(catalogue: Catalogue, token: str) -> Bearer:
    """Who a token belongs to.

    Raises:
        SignInRequiredError: unknown, expired or revoked, or its account is disabled.
    """
    refused = SignInRequiredError(
        "The token is not valid.", cure="Make one on the console's page of your account; tokens expire."
    )
    if not token.startswith(PREFIX) or len(token) > 128:
        raise refused
    now = datetime.now(UTC)
    with catalogue.read() as connection:
        row = connection.execute(sa.select(table).where(table.c.digest == digest(token))).one_or_none()
        if row is None or row.revoked_at is not None or row.expires_at <= timestamp(now):
            raise refused
        account = account_by(connection, account_id=row.account_id)
    if account.disabled_at is not None or account.must_change:
        raise refused
    if (row.last_used_at or "") <= timestamp(now - _TOUCH):
        # Whoever of several callers with one token comes last is right: none must be refused for it.
        with catalogue.write(row_locks=True) as connection:
            connection.execute(
                table.update().where(table.c.token_id == row.token_id).values(last_used_at=timestamp(now))
            )
    granted = frozenset(Right(name) for name in json.loads(row.permissions) if name in set(Right))
    return Bearer(account, granted & account.permissions)


def revoke(catalogue: Catalogue, account: Account, token_id: str) -> None:
    """Take back a token of one's own."""
    with catalogue.write() as connection:
        changed = connection.execute(
            table.update()
            .where(table.c.token_id == token_id, table.c.account_id == account.account_id, table.c.revoked_at.is_(None))
            .values(revoked_at=timestamp())
        )
        if changed.rowcount != 1:
            raise AccountError("There is no such token of yours in force.", cure="Look at the list again.")
        record(connection, "token.revoked", account.actor, account.name, {"token": token_id})


def tokens_of(connection: sa.Connection, account: Account) -> list[TokenLine]:
    """An account's tokens, newest first."""
    rows = connection.execute(
        sa.select(table).where(table.c.account_id == account.account_id).order_by(table.c.created_at.desc())
    )
    return [
        TokenLine(
            row.token_id,
            row.name,
            tuple(json.loads(row.permissions)),
            row.created_at,
            row.expires_at,
            row.last_used_at,
            row.revoked_at,
        )
        for row in rows
    ]
