"""Signing in: password, lock-out, second factor, forced change; each outcome an event.

The answer never says whether a name exists, a password was wrong, or the account is locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from console.access import sessions, totp
from console.access.accounts import Account, account_by, end_sessions, record
from console.access.passwords import check_password, fits, hash_password, outdated
from console.access.sessions import Session, Stage
from console.errors import AccountError, SignInFailedError
from console.tables import accounts as table
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies

MAX_FAILURES: Final = 5
"""Wrong passwords or codes in a row before the account is locked (GB/T 22239-2019 8.1.4.1 b)."""
LOCK: Final = timedelta(minutes=15)
MAX_LOCK: Final = timedelta(hours=24)
SYSTEM: Final = "system:console"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is at the other end, as the connection shows it."""

    address: str
    agent: str


def sign_in(
    catalogue: Catalogue, name: str, password: str, visitor: Visitor, *, require_totp: bool = False
) -> tuple[str, Stage]:
    """Check name and password and begin a session: its secret, and what is asked next.

    Raises:
        SignInFailedError: they do not fit, or the account is locked or disabled.
    """
    name = name.strip().lower()
    with catalogue.read() as connection:
        row = connection.execute(
            sa.select(table.c.account_id, table.c.password_hash).where(table.c.name == name)
        ).one_or_none()
    # Hashing takes 50 ms and more: outside any transaction, and for unknown names too.
    right = fits(row.password_hash if row else None, password)
    renewed = hash_password(password) if right and row is not None and outdated(row.password_hash) else None
    if row is None:
        with catalogue.write() as connection:
            # The name is not recorded: people type passwords into the wrong field.
            events.append(connection, kind="account.sign_in_failed", actor=SYSTEM, subject="account:unknown", body={})
        raise failed()
    with catalogue.write() as connection:
        account = account_by(connection, account_id=row.account_id)
        if not right or _shut(account):
            _fail(connection, account, counted=not right)
            secret = None
        else:
            if renewed is not None:
                _update(connection, account, password_hash=renewed)
            stage = Stage.CODE if account.has_totp else after_code(account, require_totp=require_totp)
            secret = _begin(connection, account, stage, visitor, "password")
    if secret is None:
        raise failed()
    return secret, stage


def sign_in_by_subject(
    catalogue: Catalogue, subject: str, visitor: Visitor, *, require_totp: bool = False
) -> tuple[str, Stage]:
    """Begin a session for the account that is tied to a person of the identity provider.

    Raises:
        SignInFailedError: no account is tied, or it is disabled.
    """
    with catalogue.write() as connection:
        number = connection.execute(
            sa.select(table.c.account_id).where(table.c.sso_subject == subject)
        ).scalar_one_or_none()
        account = account_by(connection, account_id=number) if number else None
        if account is None or account.disabled_at is not None:
            events.append(
                connection, kind="account.sign_in_failed", actor=SYSTEM, subject="account:unknown", body={"by": "sso"}
            )
            secret = None
        else:
            stage = Stage.CODE if account.has_totp else Stage.ENROL if require_totp else Stage.FULL
            secret = _begin(connection, account, stage, visitor, "sso")
    if secret is None:
        raise SignInFailedError(
            "No account is tied to this person of the identity provider.",
            cure="Ask a system administrator to tie your account to it.",
        )
    return secret, stage


def second_factor(
    catalogue: Catalogue, bodies: Bodies, session: Session, code: str, visitor: Visitor, *, require_totp: bool = False
) -> tuple[str, Stage]:
    """Check the code of the second factor; the session goes on under a new secret.

    Raises:
        SignInFailedError: it does not fit, or the account is locked.
    """
    with catalogue.write() as connection:
        account = account_by(connection, account_id=session.account.account_id)
        if _shut(account) or not totp.accept(connection, bodies, account, code):
            _fail(connection, account, counted=True)
            secret = None
        else:
            stage = after_code(account, require_totp=require_totp)
            _update(connection, account, failures=0, locked_until=None, last_sign_in_at=timestamp())
            secret = sessions.advance(connection, session, stage, address=visitor.address, agent=visitor.agent)
            record(connection, "account.code_accepted", account.actor, account.name, {})
    if secret is None:
        raise failed()
    return secret, stage


def change_password(
    catalogue: Catalogue, session: Session, old: str, new: str, visitor: Visitor, *, require_totp: bool = False
) -> tuple[str, Stage]:
    """Change one's own password; every other session ends, this one goes on under a new secret.

    Raises:
        SignInFailedError: the old one does not fit.
        WeakPasswordError, AccountError: the new one will not do.
    """
    with catalogue.read() as connection:
        kept = connection.execute(
            sa.select(table.c.password_hash).where(table.c.account_id == session.account.account_id)
        ).scalar_one()
    right = fits(kept, old)
    if right:
        check_password(new, account=session.account.name)
        if old == new:
            raise AccountError("The new password is the old one.", cure="Take another.")
    hashed = hash_password(new) if right else ""
    with catalogue.write() as connection:
        account = account_by(connection, account_id=session.account.account_id)
        if not right or _shut(account):
            _fail(connection, account, counted=not right)
            secret = None
        else:
            _update(connection, account, password_hash=hashed, password_changed_at=timestamp(), must_change=False)
            end_sessions(connection, account.account_id)
            stage = Stage.ENROL if require_totp and not account.has_totp else Stage.FULL
            secret = sessions.begin(
                connection,
                account.account_id,
                stage,
                address=visitor.address,
                agent=visitor.agent,
                created_at=session.created_at,
            )
            record(connection, "account.password_changed", account.actor, account.name, {})
    if secret is None:
        raise failed()
    return secret, stage


def after_code(account: Account, *, require_totp: bool) -> Stage:
    """What is asked after password and code."""
    if account.must_change:
        return Stage.CHANGE
    return Stage.ENROL if require_totp and not account.has_totp else Stage.FULL


def failed() -> SignInFailedError:
    """The one answer to everything that does not fit."""
    return SignInFailedError(
        "Name, password or code do not fit, or the account is locked for a while.",
        cure="Try again later, or ask a system administrator.",
    )


def _begin(connection: sa.Connection, account: Account, stage: Stage, visitor: Visitor, by: str) -> str:
    if stage is not Stage.CODE:
        _update(connection, account, failures=0, locked_until=None, last_sign_in_at=timestamp())
    record(connection, "account.signed_in", account.actor, account.name, {"by": by, "next": stage.value})
    return sessions.begin(connection, account.account_id, stage, address=visitor.address, agent=visitor.agent)


def _shut(account: Account) -> bool:
    return account.disabled_at is not None or (account.locked_until or "") > timestamp()


def _fail(connection: sa.Connection, account: Account, *, counted: bool) -> None:
    """Count a failure; from the fifth on the account is locked, each time twice as long."""
    body: dict[str, object] = {"locked": _shut(account)}
    if counted and not _shut(account):
        failures = 1 + int(
            connection.execute(sa.select(table.c.failures).where(table.c.account_id == account.account_id)).scalar_one()
        )
        values: dict[str, object] = {"failures": failures}
        if failures >= MAX_FAILURES:
            length = min(LOCK * 2 ** min(failures - MAX_FAILURES, 10), MAX_LOCK)
            values["locked_until"] = timestamp(datetime.now(UTC) + length)
            body["locked_minutes"] = int(length.total_seconds() // 60)
        _update(connection, account, **values)
    record(connection, "account.sign_in_failed", SYSTEM, account.name, body)


def _update(connection: sa.Connection, account: Account, **values: object) -> None:
    connection.execute(table.update().where(table.c.account_id == account.account_id).values(**values))
