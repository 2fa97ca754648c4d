"""Serves an approved disclosure by a key of its own: read only, within its scope, until it expires or is refused.

A key opens one disclosure and nothing else. Only its digest is kept; its number is the digest's beginning. A key can be
taken back alone. Every answer is a recorded query of the scope, and an event of its own with key, rows and digest,
before it is handed out.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.tables import timestamp
from retention.disclosure.errors import DisclosureKeyError, DisclosureScopeError, DisclosureUnknownError
from retention.disclosure.export import ZONE
from retention.disclosure.export import Parts as ReadingParts
from retention.disclosure.register import APPROVED, Disclosure, Parts, read
from retention.disclosure.requests import exportable
from retention.disclosure.tables import disclosures, keys
from retention.query.render import renderer
from retention.query.run import run_query

PREFIX: Final = "lcd_"
NUMBER: Final = 12
"""Hex digits of a key's digest that name it."""


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key as people see it; who has its number cannot use it."""

    key_id: str
    issued_by: str
    issued_at: str
    revoked_by: str | None
    revoked_at: str | None


@dataclass(frozen=True, slots=True)
class Served:
    """Records as they are handed out, their number, and the digest (the archive's hash, hex) that is on record."""

    data: bytes
    rows: int
    digest: str
    query_id: str


def issue_key(parts: Parts, disclosure_id: str, *, actor: str, now: datetime) -> str:
    """A new key to an approved disclosure; it is shown once.

    Raises:
        DisclosureStateError: it is not approved by two, refused, or has expired.
    """
    exportable(read(parts, disclosure_id), now)
    key = PREFIX + secrets.token_urlsafe(32)
    row = {
        "digest": _digest(key),
        "disclosure_id": disclosure_id,
        "issued_by": actor,
        "issued_at": timestamp(now),
    }
    with parts.catalogue.write() as connection:
        connection.execute(keys.insert().values(**row))
        subject = f"disclosure:{disclosure_id}"
        body = {"key": key_id_of(key)}
        events.append(connection, kind="disclosure.key_issued", actor=actor, subject=subject, body=body, at=now)
    return key


def list_keys(parts: Parts, disclosure_id: str) -> list[KeyLine]:
    """The keys to a disclosure, newest first."""
    k = keys.c
    with parts.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(k.digest, k.issued_by, k.issued_at, k.revoked_by, k.revoked_at)
            .where(k.disclosure_id == disclosure_id)
            .order_by(k.issued_at.desc(), k.digest)
        )
        return [KeyLine(row[0][:NUMBER], *row[1:]) for row in rows]


def revoke_key(parts: Parts, disclosure_id: str, key_id: str, *, actor: str, now: datetime) -> None:
    """Take back one key; the disclosure and its other keys stay. One person is enough.

    Raises:
        DisclosureUnknownError: the disclosure has no key of this number in force.
    """
    k = keys.c
    with parts.catalogue.write() as connection:
        changed = connection.execute(
            keys.update()
            .where(
                k.disclosure_id == disclosure_id,
                sa.func.substr(k.digest, 1, NUMBER) == key_id,
                k.revoked_at.is_(None),
            )
            .values(revoked_by=actor, revoked_at=timestamp(now))
        )
        if changed.rowcount != 1:
            raise DisclosureUnknownError(
                f"{disclosure_id[:40]} has no key {key_id[:40]!r} in force.",
                cure="`liucun disclose keys` shows its keys.",
            )
        subject = f"disclosure:{disclosure_id}"
        events.append(
            connection, kind="disclosure.key_revoked", actor=actor, subject=subject, body={"key": key_id}, at=now
        )


def key_id_of(key: str) -> str:
    """The number of a key."""
    return _digest(key)[:NUMBER]


def opened_by(parts: Parts, key: str, *, now: datetime) -> Disclosure:
    """The disclosure that a key opens now.

    Raises:
        DisclosureKeyError: there is no such key, it was taken back, or its disclosure has expired or was refused. It
            does not say which.
    """
    k = keys.c
    with parts.catalogue.read() as connection:
        number = connection.execute(
            sa.select(k.disclosure_id).where(k.digest == _digest(key), k.revoked_at.is_(None))
        ).scalar_one_or_none()
    found = None if number is None else read(parts, number)
    if found is None or found.state != "approved" or timestamp(now) >= found.expires_at:
        raise DisclosureKeyError("The key opens no disclosure.", cure="Ask whoever gave it for a new one.")
    return found


def serve(
    parts: ReadingParts,
    found: Disclosure,
    record_class: str,
    *,
    key: str,
    since: datetime | None = None,
    until: datetime | None = None,
    form: Literal["csv", "json"] = "csv",
    now: datetime,
) -> Served:
    """The records of a class within the scope, or of a part of its time.

    Raises:
        DisclosureScopeError: the class or the time lies outside the scope.
        DisclosureKeyError: the key was taken back or the disclosure refused while the answer was made.
        LiucunError: the archive cannot be read, or the answer is too large: ask for less time.
    """
    scope = found.scope
    if record_class not in scope.classes:
        raise DisclosureScopeError(
            f"The scope does not hold {record_class[:40]!r}.", cure=f"It holds {', '.join(scope.classes)}."
        )
    begin, end = since or scope.since, until or scope.until
    if begin.tzinfo is None or end.tzinfo is None or not scope.since <= begin < end <= scope.until:
        raise DisclosureScopeError(
            "The time lies outside the scope.",
            cure=f"It is from {scope.since.isoformat()} to {scope.until.isoformat()}; times carry their zone.",
        )
    actor = f"authority:{found.disclosure_id}"
    answer = run_query(
        parts,
        replace(scope, since=begin, until=end).sql(record_class),
        purpose=f"向主管部门提供 disclosure {found.disclosure_id}",
        actor=actor,
        render=renderer(form, ZONE),
        basis=found.case.basis,
    )
    body = {
        "key": key_id_of(key),
        "class": record_class,
        "since": begin.isoformat(),
        "until": end.isoformat(),
        "rows": answer.rows,
        "digest": answer.digest,
        "query": answer.query_id,
    }
    subject = f"disclosure:{found.disclosure_id}"
    with parts.catalogue.write() as connection:
        # Once more: what was refused or taken back while the answer was made is not handed out.
        _check_open(connection, found.disclosure_id, key, now)
        events.append(connection, kind="disclosure.served", actor=actor, subject=subject, body=body, at=now)
    return Served(answer.data, answer.rows, answer.digest, answer.query_id)


def _check_open(connection: sa.Connection, disclosure_id: str, key: str, now: datetime) -> None:
    k, d = keys.c, disclosures.c
    open_ = sa.select(k.digest).join(disclosures, d.disclosure_id == k.disclosure_id)
    still = (d.disclosure_id == disclosure_id, k.digest == _digest(key), k.revoked_at.is_(None))
    if connection.execute(open_.where(*still, d.state == APPROVED, d.expires_at > timestamp(now))).first() is None:
        raise DisclosureKeyError("The key opens no disclosure.", cure="Ask whoever gave it for a new one.")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
