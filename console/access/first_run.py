"""The first account: made through a link that ``liucun serve`` prints, good once and for a day. No default password."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from console.access.accounts import add_roles, any_account, create_account, record
from console.access.roles import Role
from console.access.secrets import digest, new_secret
from console.access.sign_in import SYSTEM
from console.errors import SetupLinkError
from console.tables import setup_links as table
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp

LIFETIME: Final = timedelta(hours=24)
FIRST_ROLES: Final = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN})
"""What the first account may do: make accounts and give roles; it reads no content."""


def setup_secret(catalogue: Catalogue) -> str | None:
    """The secret of a fresh set-up link, None once there is an account; earlier links end."""
    with catalogue.write() as connection:
        if any_account(connection):
            return None
        secret = new_secret()
        now = datetime.now(UTC)
        connection.execute(table.delete())
        connection.execute(
            table.insert().values(
                digest=digest(secret), created_at=timestamp(now), expires_at=timestamp(now + LIFETIME)
            )
        )
        events.append(connection, kind="setup.link_made", actor=SYSTEM, subject="console", body={})
        return secret


def check_setup(connection: sa.Connection, secret: str) -> None:
    """Refuse a link that is not good (any more).

    Raises:
        SetupLinkError: used, too old, never made, or there is an account already.
    """
    row = connection.execute(sa.select(table).where(table.c.digest == digest(secret))).one_or_none()
    if row is None or row.used_at is not None or row.expires_at <= timestamp() or any_account(connection):
        raise SetupLinkError(
            "This set-up link is not good any more.",
            cure="Sign in, or start `liucun serve` again: it prints a fresh link while there is no account.",
        )


def first_account(catalogue: Catalogue, secret: str, *, name: str, display_name: str, password: str) -> None:
    """Make the first account; the link is used up in the same transaction."""
    with catalogue.write() as connection:
        check_setup(connection, secret)
        number = create_account(
            connection, actor=SYSTEM, name=name, display_name=display_name, password=password, must_change=False
        )
        add_roles(connection, number, FIRST_ROLES)
        record(connection, "account.roles_changed", SYSTEM, name, {"from": [], "to": sorted(FIRST_ROLES)})
        connection.execute(table.update().where(table.c.digest == digest(secret)).values(used_at=timestamp()))
