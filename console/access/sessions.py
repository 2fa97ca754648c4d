"""Sessions on the server: the browser holds a random secret, the database its digest.

A session ends after 30 minutes without a step and 12 hours after sign-in whatever happens. Its secret changes with
every stage of signing in, so that one planted before sign-in is worth nothing after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from console.access.accounts import Account, account_by, record
from console.access.secrets import digest, new_secret
from console.tables import reveals
from console.tables import sessions as table
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp

IDLE: Final = timedelta(minutes=30)
LIFETIME: Final = timedelta(hours=12)
_TOUCH: Final = timedelta(minutes=1)
"""How old the last step may look: a write for every request would be a write for every picture."""


class Stage(StrEnum):
    """What is still asked of a session."""

    CODE = "code"
    """A code of the second factor."""
    CHANGE = "change"
    """A new password."""
    ENROL = "enrol"
    """A second factor, which the settings ask of everybody."""
    FULL = "full"
    """Nothing: signed in."""


@dataclass(frozen=True, slots=True)
class Session:
    """A live session; ``secret`` is what the cookie holds."""

    secret: str
    stage: Stage
    account: Account
    created_at: str

    @property
    def digest(self) -> str:
        """The session's key in the database."""
        return digest(self.secret)


def begin(
    connection: sa.Connection,
    account_id: str,
    stage: Stage,
    *,
    address: str,
    agent: str,
    created_at: str | None = None,
    now: datetime | None = None,
) -> str:
    """Begin a session in the caller's transaction and return its secret; sessions that ended are cleared away."""
    moment = now or datetime.now(UTC)
    secret = new_secret()
    started = datetime.fromisoformat(created_at) if created_at else moment
    ended = sa.or_(table.c.expires_at <= timestamp(moment), table.c.seen_at <= timestamp(moment - IDLE))
    connection.execute(table.delete().where(ended))
    connection.execute(reveals.delete().where(reveals.c.until <= timestamp(moment)))
    connection.execute(
        table.insert().values(
            digest=digest(secret),
            account_id=account_id,
            stage=stage.value,
            created_at=timestamp(started),
            seen_at=timestamp(moment),
            expires_at=timestamp(started + LIFETIME),
            address=address[:64],
            agent=agent[:255],
        )
    )
    return secret


def resolve(catalogue: Catalogue, secret: str | None, *, now: datetime | None = None) -> Session | None:
    """The session that a cookie's secret opens, None if there is none or it ended."""
    if not secret or len(secret) > 128:
        return None
    moment = now or datetime.now(UTC)
    with catalogue.read() as connection:
        row = connection.execute(sa.select(table).where(table.c.digest == digest(secret))).one_or_none()
        if row is None or row.expires_at <= timestamp(moment) or row.seen_at <= timestamp(moment - IDLE):
            return None
        account = account_by(connection, account_id=row.account_id)
    if account.disabled_at is not None:
        return None
    if row.seen_at <= timestamp(moment - _TOUCH):
        # Two pages asked for at once both come here: the last is right, none must be refused for it.
        with catalogue.write(row_locks=True) as connection:
            connection.execute(table.update().where(table.c.digest == row.digest).values(seen_at=timestamp(moment)))
    return Session(secret, Stage(row.stage), account, row.created_at)


def advance(connection: sa.Connection, session: Session, stage: Stage, *, address: str, agent: str) -> str:
    """Replace a session by one of a later stage (the secret changes) in the caller's transaction."""
    connection.execute(table.delete().where(table.c.digest == session.digest))
    return begin(
        connection, session.account.account_id, stage, address=address, agent=agent, created_at=session.created_at
    )


def end(catalogue: Catalogue, session: Session) -> None:
    """Sign out."""
    with catalogue.write() as connection:
        connection.execute(table.delete().where(table.c.digest == session.digest))
        connection.execute(reveals.delete().where(reveals.c.session_digest == session.digest))
        record(connection, "account.signed_out", session.account.actor, session.account.name, {})


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session as its owner sees it."""

    number: str
    created_at: str
    seen_at: str
    address: str
    agent: str


def sessions_of(connection: sa.Connection, account: Account, *, now: datetime | None = None) -> list[SessionLine]:
    """An account's live sessions, newest first; ``number`` is the start of the digest."""
    moment = now or datetime.now(UTC)
    rows = connection.execute(
        sa.select(table)
        .where(
            table.c.account_id == account.account_id,
            table.c.expires_at > timestamp(moment),
            table.c.seen_at > timestamp(moment - IDLE),
        )
        .order_by(table.c.created_at.desc())
    )
    return [SessionLine(row.digest[:12], row.created_at, row.seen_at, row.address, row.agent) for row in rows]
