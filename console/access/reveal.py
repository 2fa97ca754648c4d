"""Looking behind the mask: a reason first, then an event, then the text, for this session and a quarter of an hour."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from console.access.sessions import Session
from console.errors import AccountError
from console.tables import reveals
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import events as event_table
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies

LASTS: Final = timedelta(minutes=15)
MAX_REASON: Final = 1000
REVEALED: Final = "personal.revealed"
KINDS: Final = (REVEALED, "content.read")
"""Kinds of events of a look behind the mask."""


def reveal(catalogue: Catalogue, bodies: Bodies, session: Session, subject: str, reason: str, *, kind: str) -> None:
    """Open a subject (``ticket:…``) to a session; the reason, which may name persons, stands sealed in the event.

    Raises:
        AccountError: the reason is missing or too long.
    """
    body = why(bodies, reason)
    with catalogue.write() as connection:
        r = reveals.c
        connection.execute(reveals.delete().where(r.session_digest == session.digest, r.subject == subject))
        connection.execute(
            reveals.insert().values(
                session_digest=session.digest, subject=subject, until=timestamp(datetime.now(UTC) + LASTS)
            )
        )
        events.append(connection, kind=kind, actor=session.account.actor, subject=subject, body=body)


def why(bodies: Bodies, reason: str) -> dict[str, object]:
    """What the event of a look behind the mask says: a number, and the reason sealed under it.

    Raises:
        AccountError: the reason is missing or too long.
    """
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise AccountError(
            f"A reason of up to {MAX_REASON} characters is needed.", cure="Say why the personal data must be seen."
        )
    number = secrets.token_hex(8)
    sealed = bodies.seal(reason.encode("utf-8", "replace"), _context(number))
    return {"reveal": number, "reason_sealed": base64.b64encode(sealed).decode()}


def revealed(connection: sa.Connection, session: Session, subject: str) -> bool:
    """Whether a subject is open to a session now."""
    r = reveals.c
    found = sa.select(r.until).where(r.session_digest == session.digest, r.subject == subject, r.until > timestamp())
    return connection.execute(found).first() is not None


def reason_of(connection: sa.Connection, bodies: Bodies, session: Session, subject: str) -> str | None:
    """The reason for which a subject is open to a session now; None when it is not."""
    if not revealed(connection, session, subject):
        return None
    e = event_table.c
    last = connection.execute(
        sa.select(e.body)
        .where(e.subject == subject, e.kind.in_(KINDS), e.actor == session.account.actor)
        .order_by(e.id.desc())
        .limit(1)
    ).scalar_one()
    body = json.loads(last)
    return bodies.open(base64.b64decode(body["reason_sealed"]), _context(body["reveal"])).decode()


def _context(number: str) -> bytes:
    return f"console reveal\x00{number}".encode()
