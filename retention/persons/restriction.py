"""Restriction 限制处理: a person's records stay sealed and kept, and leave queries, analytics, backtests and training.

个人信息保护法 art. 47: where the law still forbids to delete, everything but storing and protecting stops. What a
restricted account publishes anew is still scanned: detection does not ask here.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import events as event_table
from retention.catalogue.tables import timestamp
from retention.crypto.bodies import BodyCipher
from retention.persons.errors import RestrictionError
from retention.persons.tables import restrictions

PERSON_COLUMNS: Final = ("user_id", "counterparty_id")
"""Columns that name the person whom a record is about."""
ACTIVE: Final = "active"
_LIFTED: Final = b":lifted"


class Parts(Protocol):
    """What restrictions need of an open store."""

    @property
    def catalogue(self) -> Catalogue:
        """Restrictions and events."""
        ...

    @property
    def bodies(self) -> BodyCipher:
        """Seals and blinds accounts."""
        ...


@dataclass(frozen=True, slots=True)
class Restriction:
    """A restriction with its words opened."""

    restriction_id: str
    account: str
    ground: str
    state: str
    request_id: str | None
    made_by: str
    made_at: str
    lifted_by: str | None
    lifted_at: str | None
    lift_reason: str | None = None
    """None also of those lifted before reasons were kept."""

    def as_json(self) -> dict[str, object]:
        """The restriction for programs."""
        return {name: getattr(self, name) for name in self.__slots__}


def account_blind(bodies: BodyCipher, account: str) -> str:
    """The keyed hash under which an account stands in every table."""
    return bodies.blind(account, "account")


def restrict(
    parts: Parts, account: str, *, ground: str, actor: str, now: datetime, request_id: str | None = None
) -> str:
    """Restrict an account's records from now on; returns the restriction's id.

    Raises:
        RestrictionError: no account or ground is named, or it is restricted already.
    """
    if not account.strip() or not ground.strip():
        raise RestrictionError("A restriction needs an account and a ground.", cure="Give ACCOUNT and --ground TEXT.")
    enter = restricting(parts, account, ground=ground, actor=actor, now=now, request_id=request_id)
    with parts.catalogue.write() as connection:
        return enter(connection)


def restricting(
    parts: Parts, account: str, *, ground: str, actor: str, now: datetime, request_id: str | None = None
) -> Callable[[sa.Connection], str]:
    """What enters a restriction in a transaction of the caller's; its words are sealed now, outside of it.

    It raises ``RestrictionError``, and changes nothing, when the account is restricted already.
    """
    restriction_id = f"R{secrets.token_hex(8)}"
    words = json.dumps({"account": account, "ground": ground}, ensure_ascii=False)
    sealed = parts.bodies.seal(words.encode("utf-8", "surrogatepass"), _context(restriction_id))
    blind = account_blind(parts.bodies, account)
    r = restrictions.c

    def enter(connection: sa.Connection) -> str:
        there = sa.select(r.restriction_id).where(r.account_blind == blind, r.state == ACTIVE)
        found = connection.execute(there).scalar_one_or_none()
        if found is not None:
            raise RestrictionError(f"This account is restricted already ({found}).", cure="Nothing is to be done.")
        connection.execute(
            restrictions.insert().values(
                restriction_id=restriction_id,
                account_blind=blind,
                sealed=sealed,
                state=ACTIVE,
                request_id=request_id,
                made_by=actor,
                made_at=timestamp(now),
            )
        )
        body = {"account": blind, "request": request_id}
        subject = f"restriction:{restriction_id}"
        events.append(connection, kind="restriction.made", actor=actor, subject=subject, body=body, at=now)
        return restriction_id

    return enter


def lift(parts: Parts, account: str, *, reason: str, actor: str, now: datetime) -> str:
    """End the restriction of an account; returns its id.

    Raises:
        RestrictionError: it is not restricted, or no reason is given.
    """
    if not reason.strip():
        raise RestrictionError("A restriction is not lifted without a reason.", cure="Give --ground TEXT.")
    blind = account_blind(parts.bodies, account)
    r = restrictions.c
    with parts.catalogue.write() as connection:
        found = connection.execute(
            sa.select(r.restriction_id).where(r.account_blind == blind, r.state == ACTIVE)
        ).scalar_one_or_none()
        if found is None:
            raise RestrictionError("This account is not restricted.", cure="`liucun restrict --list` shows who is.")
        connection.execute(
            restrictions.update()
            .where(r.restriction_id == found)
            .values(state="lifted", lifted_by=actor, lifted_at=timestamp(now))
        )
        sealed = parts.bodies.seal(reason.encode("utf-8", "surrogatepass"), _context(found) + _LIFTED)
        body = {"account": blind, "reason_sealed": sealed.hex()}
        events.append(
            connection, kind="restriction.lifted", actor=actor, subject=f"restriction:{found}", body=body, at=now
        )
    return str(found)


def list_restrictions(parts: Parts, *, lifted: bool = False) -> list[Restriction]:
    """Active restrictions, with ``lifted`` all of them, oldest first."""
    r = restrictions.c
    query = sa.select(restrictions).order_by(r.made_at, r.restriction_id)
    if not lifted:
        query = query.where(r.state == ACTIVE)
    with parts.catalogue.read() as connection:
        if not sa.inspect(connection).has_table(restrictions.name):
            return []
        rows = connection.execute(query).all()
        reasons = _lift_reasons(parts, connection) if lifted else {}
    return [replace(_restriction(parts, row), lift_reason=reasons.get(row.restriction_id)) for row in rows]


def _lift_reasons(parts: Parts, connection: sa.Connection) -> dict[str, str]:
    """Why restrictions were lifted, by their ids."""
    e = event_table.c
    found: dict[str, str] = {}
    for row in connection.execute(sa.select(e.subject, e.body).where(e.kind == "restriction.lifted")):
        name, sealed = row.subject.removeprefix("restriction:"), json.loads(row.body).get("reason_sealed")
        if sealed is not None:
            opened = parts.bodies.open(bytes.fromhex(sealed), _context(name) + _LIFTED)
            found[name] = opened.decode("utf-8", "replace")
    return found


def restricted_accounts(parts: Parts) -> pa.Array:
    """The accounts that are restricted now, sorted, as a string array (empty when there is none)."""
    return pa.array(sorted({found.account for found in list_restrictions(parts)}), pa.string())


def without_restricted(table: pa.Table, accounts: pa.Array) -> pa.Table:
    """The rows that are not about a restricted account: what backtests, analytics and training may see."""
    named = [name for name in PERSON_COLUMNS if name in table.column_names]
    if not len(accounts) or not named:
        return table
    about = pc.is_in(table.column(named[0]), value_set=accounts)
    for name in named[1:]:
        about = pc.or_(about, pc.is_in(table.column(name), value_set=accounts))
    return table.filter(pc.invert(about))


def _restriction(parts: Parts, row: sa.Row[Any]) -> Restriction:
    words = json.loads(parts.bodies.open(row.sealed, _context(row.restriction_id)))
    return Restriction(
        restriction_id=row.restriction_id,
        account=words["account"],
        ground=words["ground"],
        state=row.state,
        request_id=row.request_id,
        made_by=row.made_by,
        made_at=row.made_at,
        lifted_by=row.lifted_by,
        lifted_at=row.lifted_at,
    )


def _context(restriction_id: str) -> bytes:
    return f"restriction:{restriction_id}".encode()
