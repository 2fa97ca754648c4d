"""Requests for disclosure: the case document, the scope, two approvers who are other people, an expiry."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import sqlalchemy as sa

from retention.catalogue import events, sets
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import events as event_table
from retention.catalogue.tables import timestamp
from retention.crypto.bodies import DISCLOSURES, BodyCipher
from retention.crypto.suites import suite
from retention.disclosure.errors import DisclosureScopeError, DisclosureStateError, DisclosureUnknownError
from retention.disclosure.scope import Scope
from retention.disclosure.tables import accounts as account_table
from retention.disclosure.tables import approvals, disclosures, exports
from retention.persons.restriction import account_blind
from retention.policies.periods import shanghai_date
from retention.second_person import check_second_person

REQUESTED: Final = "requested"
APPROVED: Final = "approved"
REFUSED: Final = "refused"
EXPIRED: Final = "expired"
APPROVERS: Final = 2
LONGEST: Final = timedelta(days=90)
MAX_DOCUMENT: Final = 16 << 20
"""Largest case document in bytes."""


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
            "exports": self.exports,
            "texts_gone": self.texts_gone,
        }


def request(
    parts: Parts, case: Case, scope: Scope, document: bytes, *, expires_at: datetime, actor: str, now: datetime
) -> str:
    """Enter a request with its case document; returns its number.

    Raises:
        DisclosureScopeError: a part of the case or the document is missing or too large, or it would live too long.
    """
    if not all(part.strip() for part in (case.authority, case.number, case.basis, case.reason)):
        raise DisclosureScopeError(
            "A disclosure names the authority, the case number, its legal basis and the reason.", cure="Give all four."
        )
    if not 0 < len(document) <= MAX_DOCUMENT:
        raise DisclosureScopeError("The case document is empty or over 16 MiB.", cure="Give the scanned document.")
    if not now < expires_at <= now + LONGEST:
        raise DisclosureScopeError("A disclosure lives up to 90 days.", cure="Choose a day within them.")
    disclosure_id = f"D{secrets.token_hex(8)}"
    text_key = parts.bodies.text_key(f"{shanghai_date(now):%Y-%m}", DISCLOSURES)
    words = {"case": _case_json(case), "scope": scope.as_json()}
    digests = {
        "document_sha256": suite("AES-256-GCM-SHA256").hash(document).hex(),
        "document_sm3": suite("SM4-GCM-SM3").hash(document).hex(),
    }
    row = {
        "disclosure_id": disclosure_id,
        "state": REQUESTED,
        "requested_by": actor,
        "requested_at": timestamp(now),
        "expires_at": timestamp(expires_at),
        **digests,
        "document": parts.bodies.seal(document, context_of(disclosure_id, "document"), under=text_key),
        "sealed": parts.bodies.seal(json.dumps(words).encode(), context_of(disclosure_id, "words"), under=text_key),
        "text_key": text_key,
    }
    with parts.catalogue.write() as connection:
        connection.execute(disclosures.insert().values(**row))
        name_accounts(connection, parts.bodies, disclosure_id, scope.accounts)
        body = {"classes": scope.classes, "accounts": len(scope.accounts), "fields": len(scope.fields), **digests}
        _event(connection, "disclosure.requested", actor, disclosure_id, body, now)
    return disclosure_id


def approve(parts: Parts, disclosure_id: str, *, actor: str, now: datetime) -> Disclosure:
    """Approve a request; after the second approval it may be exported.

    Raises:
        SecondPersonError: the requester, somebody who approved it before, or no account.
        DisclosureStateError: two approved it already, it is refused or has expired.
    """
    a, d = approvals.c, disclosures.c
    with parts.catalogue.write() as connection:
        # Locked and read in one transaction: what was refused a moment ago is not approved after all.
        connection.execute(sa.select(d.state).where(d.disclosure_id == disclosure_id).with_for_update()).all()
        found = _read(parts, connection, disclosure_id)
        if found.standing(now) in (REFUSED, EXPIRED):
            raise DisclosureStateError(f"The disclosure {disclosure_id} is over.", cure="Make a new request.")
        check_second_person(actor, found.requested_by, *found.approvers, what=f"the disclosure {disclosure_id}")
        if found.state != REQUESTED:
            raise DisclosureStateError(f"The disclosure {disclosure_id} is approved already.", cure="Nothing is left.")
        connection.execute(approvals.insert().values(disclosure_id=disclosure_id, approver=actor, at=timestamp(now)))
        count = connection.execute(sa.select(sa.func.count()).where(a.disclosure_id == disclosure_id)).scalar_one()
        if count >= APPROVERS:
            connection.execute(disclosures.update().where(d.disclosure_id == disclosure_id).values(state=APPROVED))
        _event(connection, "disclosure.approved", actor, disclosure_id, {"approvals": count}, now)
    return read(parts, disclosure_id)


def refuse(parts: Parts, disclosure_id: str, *, reason: str, actor: str, now: datetime) -> Disclosure:
    """Refuse a request, or stop one that was approved; one person is enough.

    Raises:
        DisclosureStateError: it was refused before.
    """
    if not reason.strip():
        raise DisclosureScopeError("A reason is missing.", cure="Say in a few words why.")
    sealed = parts.bodies.seal(reason.encode("utf-8", "replace"), context_of(disclosure_id, "refusal")).hex()
    d = disclosures.c
    with parts.catalogue.write() as connection:
        connection.execute(sa.select(d.state).where(d.disclosure_id == disclosure_id).with_for_update()).all()
        if _read(parts, connection, disclosure_id).state == REFUSED:
            raise DisclosureStateError(f"The disclosure {disclosure_id} is refused already.", cure="Nothing is left.")
        connection.execute(
            disclosures.update().where(disclosures.c.disclosure_id == disclosure_id).values(state=REFUSED)
        )
        _event(connection, "disclosure.refused", actor, disclosure_id, {"reason_sealed": sealed}, now)
    return read(parts, disclosure_id)


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
        return _read(parts, connection, disclosure_id)


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
        _event(connection, "disclosure.document_read", actor, disclosure_id, {"bytes": len(opened)}, now)
    return opened


def exportable(found: Disclosure, now: datetime) -> None:
    """Let a request be exported.

    Raises:
        DisclosureStateError: it is not approved by two, refused, or has expired.
    """
    if found.state != APPROVED or len(found.approvers) < APPROVERS:
        raise DisclosureStateError(
            f"{found.disclosure_id} is {found.state}, approved by {len(found.approvers)} of {APPROVERS}.",
            cure="Two people other than the requester approve it first.",
        )
    if timestamp(now) >= found.expires_at:
        raise DisclosureStateError(
            f"The disclosure {found.disclosure_id} expired at {found.expires_at}.", cure="Make a new request."
        )


def record_export(
    parts: Parts, disclosure_id: str, *, rows: int, sha256: str, sm3: str, actor: str, now: datetime
) -> int:
    """Record that a bundle was handed out; returns its number."""
    x = exports.c
    with parts.catalogue.write() as connection:
        last = connection.execute(
            sa.select(sa.func.coalesce(sa.func.max(x.number), 0)).where(x.disclosure_id == disclosure_id)
        ).scalar_one()
        connection.execute(
            exports.insert().values(
                disclosure_id=disclosure_id,
                number=last + 1,
                exported_by=actor,
                at=timestamp(now),
                rows=rows,
                sha256=sha256,
                sm3=sm3,
            )
        )
        body = {"number": last + 1, "rows": rows, "sha256": sha256, "sm3": sm3}
        _event(connection, "disclosure.exported", actor, disclosure_id, body, now)
    return int(last) + 1


_COLUMNS: Final = [column for column in disclosures.columns if column.name != "document"]
"""What a list needs; the case documents stay where they are."""


def _read(parts: Parts, connection: sa.Connection, disclosure_id: str) -> Disclosure:
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
    who = sa.select(a.approver).where(a.disclosure_id == row.disclosure_id).order_by(a.at)
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
        approvers=tuple(connection.execute(who).scalars()),
        exports=connection.execute(handed).scalar_one(),
        texts_gone=row.texts_gone,
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


def _case_json(case: Case) -> dict[str, str]:
    return {"authority": case.authority, "number": case.number, "basis": case.basis, "reason": case.reason}


def _event(
    connection: sa.Connection, kind: str, actor: str, disclosure_id: str, body: dict[str, object], now: datetime
) -> None:
    events.append(connection, kind=kind, actor=actor, subject=f"disclosure:{disclosure_id}", body=body, at=now)


def context_of(disclosure_id: str, what: str) -> bytes:
    """What a part of a disclosure is bound to."""
    return f"disclosure:{disclosure_id}:{what}".encode()
