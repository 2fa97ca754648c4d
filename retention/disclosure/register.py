"""The register of disclosures: what each is about, how it stands, its case document.

Nothing here changes how a disclosure stands (``requests.py`` does). What is written here belongs to what it is about:
the accounts that its scope names, and the events of whoever looked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import sqlalchemy as sa

from retention.catalogue import events, sets
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import events as event_table
from retention.catalogue.tables import timestamp
from retention.crypto.bodies import BodyCipher
from retention.disclosure.errors import DisclosureStateError, DisclosureUnknownError
from retention.disclosure.scope import Scope
from retention.disclosure.tables import accounts as account_table
from retention.disclosure.tables import approvals, disclosures, exports
from retention.persons.restriction import account_blind

REQUESTED: Final = "requested"
APPROVED: Final = "approved"
REFUSED: Final = "refused"
EXPIRED: Final = "expired"


class Parts(Protocol):
    """What requests need of an open store."""

    @property
    def catalogue(self) -> Catalogue:
        """Requests and events."""
        ...

    @property
    def bodies(self) -> BodyCipher:
        """Seals what they are about."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """Who asks, under which number, on what ground, and why."""

    authority: str
    number: str
    basis: str
    reason: str


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A request as it stands."""

    disclosure_id: str
    state: str
    case: Case
    scope: Scope
    requested_by: str
    requested_at: str
    expires_at: str
    document_sha256: str
    document_sm3: str
    approvers: tuple[str, ...]
    exports: int
    texts_gone: str | None = None
    """The purge that destroyed case, scope and document; who asked, when, digests and exports stay."""
    approved_at: tuple[str, ...] = ()
    """When each of ``approvers`` approved, in their order."""

    def standing(self, now: datetime) -> str:
        """Its state as people see it: what has expired is over, whatever it was before."""
        return EXPIRED if self.state != REFUSED and timestamp(now) >= self.expires_at else self.state

    def as_json(self) -> dict[str, Any]:
        """The request for people and programs."""
        return {
            "disclosure_id": self.disclosure_id,
            "state": self.state,
            "authority": self.case.authority,
            "case_number": self.case.number,
            "basis": self.case.basis,
            "reason": self.case.reason,
            "scope": self.scope.as_json(),
            "requested_by": self.requested_by,
            "requested_at": self.requested_at,
            "expires_at": self.expires_at,
            "document": {"sha256": self.document_sha256, "sm3": self.document_sm3},
            "approvers": list(self.approvers),
            "approved_at": list(self.approved_at),
            "exports": self.exports,
            "texts_gone": self.texts_gone,
        }


def refusal(parts: Parts, disclosure_id: str) -> str | None:
    """Why a request was refused or stopped; None when it was not."""
    e = event_table.c
    asked = sa.select(e.body).where(e.kind == "disclosure.refused", e.subject == f"disclosure:{disclosure_id}")
    with parts.catalogue.read() as connection:
        body = connection.execute(asked.order_by(e.id.desc()).limit(1)).scalar_one_or_none()
    if body is None:
        return None
    said = json.loads(body)
    sealed = bytes.fromhex(said.get("reason_sealed") or said["reason"])
    return parts.bodies.open(sealed, context_of(disclosure_id, "refusal")).decode("utf-8", "replace")


def read(parts: Parts, disclosure_id: str) -> Disclosure:
    """A request.

    Raises:
        DisclosureUnknownError: there is none of this number.
    """
    with parts.catalogue.read() as connection:
        return read_in(parts, connection, disclosure_id)


def list_disclosures(parts: Parts, *, limit: int | None = None, offset: int = 0) -> list[Disclosure]:
    """Requests, newest first; all of them unless there is a limit."""
    with parts.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(*_COLUMNS)
            .order_by(disclosures.c.requested_at.desc(), disclosures.c.disclosure_id)
            .limit(limit)
            .offset(offset)
        ).all()
        return [_disclosure(parts, connection, row) for row in rows]


def count_disclosures(parts: Parts) -> int:
    """How many requests there ever were."""
    with parts.catalogue.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(disclosures)).scalar_one())


def document(parts: Parts, disclosure_id: str, *, actor: str, now: datetime) -> bytes:
    """The case document; that somebody reads it is on record before it is handed out.

    Raises:
        DisclosureUnknownError: there is none of this number.
    """
    with parts.catalogue.read() as connection:
        sealed = connection.execute(
            sa.select(disclosures.c.document).where(disclosures.c.disclosure_id == disclosure_id)
        ).scalar_one_or_none()
    if sealed is None:
        raise _unknown(disclosure_id)
    if not sealed:
        raise DisclosureStateError(
            f"The case document of {disclosure_id} was destroyed: its period was over.",
            cure="`liucun disclose list --json` names the purge; its certificate proves it.",
        )
    opened = parts.bodies.open(bytes(sealed), context_of(disclosure_id, "document"))
    with parts.catalogue.write() as connection:
        record(connection, "disclosure.document_read", actor, disclosure_id, {"bytes": len(opened)}, now)
    return opened


_COLUMNS: Final = [column for column in disclosures.columns if column.name != "document"]
"""What a list needs; the case documents stay where they are."""


def read_in(parts: Parts, connection: sa.Connection, disclosure_id: str) -> Disclosure:
    """A request, as a transaction sees it (``read``)."""
    row = connection.execute(sa.select(*_COLUMNS).where(disclosures.c.disclosure_id == disclosure_id)).one_or_none()
    if row is None:
        raise _unknown(disclosure_id)
    return _disclosure(parts, connection, row)


def _unknown(disclosure_id: str) -> DisclosureUnknownError:
    return DisclosureUnknownError(
        f"There is no disclosure {disclosure_id[:40]!r}.", cure="`liucun disclose list` shows all."
    )


def _disclosure(parts: Parts, connection: sa.Connection, row: sa.Row[Any]) -> Disclosure:
    case, scope = _words(parts, row)
    a, x = approvals.c, exports.c
    who = sa.select(a.approver, a.at).where(a.disclosure_id == row.disclosure_id).order_by(a.at, a.approver)
    approved = connection.execute(who).all()
    handed = sa.select(sa.func.count()).where(x.disclosure_id == row.disclosure_id)
    return Disclosure(
        disclosure_id=row.disclosure_id,
        state=row.state,
        case=case,
        scope=scope,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        document_sha256=row.document_sha256,
        document_sm3=row.document_sm3,
        approvers=tuple(one.approver for one in approved),
        exports=connection.execute(handed).scalar_one(),
        texts_gone=row.texts_gone,
        approved_at=tuple(one.at for one in approved),
    )


def _words(parts: Parts, row: sa.Row[Any]) -> tuple[Case, Scope]:
    if row.texts_gone is not None:
        gone = f"已销毁 destroyed: {row.texts_gone}"
        at = datetime.fromisoformat(row.requested_at)
        return Case(gone, gone, gone, gone), Scope((), (), (), at, at)
    words = json.loads(parts.bodies.open(bytes(row.sealed), context_of(row.disclosure_id, "words")))
    return Case(**words["case"]), Scope.from_json(words["scope"])


def name_accounts(connection: sa.Connection, bodies: BodyCipher, disclosure_id: str, accounts: tuple[str, ...]) -> None:
    """Say whom a disclosure is about, under the keyed hash that holds know."""
    blinds = dict.fromkeys(account_blind(bodies, account) for account in accounts)
    rows = [{"disclosure_id": disclosure_id, "account_blind": blind} for blind in blinds]
    sets.insert_rows(connection, account_table, rows)


def record(
    connection: sa.Connection, kind: str, actor: str, disclosure_id: str, body: dict[str, object], now: datetime
) -> None:
    """Record a step of a disclosure."""
    events.append(connection, kind=kind, actor=actor, subject=f"disclosure:{disclosure_id}", body=body, at=now)


def context_of(disclosure_id: str, what: str) -> bytes:
    """What a part of a disclosure is bound to."""
    return f"disclosure:{disclosure_id}:{what}".encode()
