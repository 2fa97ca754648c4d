"""Requests for disclosure, step by step: the case document and scope, two approvers who are others, an expiry."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from retention.catalogue.tables import timestamp
from retention.crypto.bodies import DISCLOSURES
from retention.crypto.suites import suite
from retention.disclosure.errors import DisclosureScopeError, DisclosureStateError
from retention.disclosure.register import (
    APPROVED,
    EXPIRED,
    REFUSED,
    REQUESTED,
    Case,
    Disclosure,
    Parts,
    context_of,
    name_accounts,
    read,
    read_in,
    record,
)
from retention.disclosure.scope import Scope, is_text
from retention.disclosure.tables import approvals, disclosures, exports
from retention.policies.periods import shanghai_date
from retention.second_person import check_second_person

APPROVERS: Final = 2
LONGEST: Final = timedelta(days=90)
MAX_WORDS: Final = 2000
"""Longest part of a case (authority, number, basis, reason), in characters."""
MAX_ACCOUNT: Final = 1000
"""Longest name of an account, in characters."""
MAX_DOCUMENT: Final = 16 << 20
"""Largest case document in bytes."""


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
    if not all(is_text(part, MAX_WORDS) for part in (case.authority, case.number, case.basis, case.reason)):
        raise DisclosureScopeError(
            f"A part of the case is over {MAX_WORDS:,} characters long, or no text.",
            cure="Say it shortly; the case document is kept beside it.",
        )
    if strange := [account for account in scope.accounts if not is_text(account, MAX_ACCOUNT)]:
        raise DisclosureScopeError(
            f"{strange[0][:40]!r} is no account: it is over {MAX_ACCOUNT:,} characters long, or no text.",
            cure="Give the account as it stands in user_id.",
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
        record(connection, "disclosure.requested", actor, disclosure_id, body, now)
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
        found = read_in(parts, connection, disclosure_id)
        if found.standing(now) in (REFUSED, EXPIRED):
            raise DisclosureStateError(f"The disclosure {disclosure_id} is over.", cure="Make a new request.")
        check_second_person(actor, found.requested_by, *found.approvers, what=f"the disclosure {disclosure_id}")
        if found.state != REQUESTED:
            raise DisclosureStateError(f"The disclosure {disclosure_id} is approved already.", cure="Nothing is left.")
        connection.execute(approvals.insert().values(disclosure_id=disclosure_id, approver=actor, at=timestamp(now)))
        count = connection.execute(sa.select(sa.func.count()).where(a.disclosure_id == disclosure_id)).scalar_one()
        if count >= APPROVERS:
            connection.execute(disclosures.update().where(d.disclosure_id == disclosure_id).values(state=APPROVED))
        record(connection, "disclosure.approved", actor, disclosure_id, {"approvals": count}, now)
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
        if read_in(parts, connection, disclosure_id).state == REFUSED:
            raise DisclosureStateError(f"The disclosure {disclosure_id} is refused already.", cure="Nothing is left.")
        connection.execute(
            disclosures.update().where(disclosures.c.disclosure_id == disclosure_id).values(state=REFUSED)
        )
        record(connection, "disclosure.refused", actor, disclosure_id, {"reason_sealed": sealed}, now)
    return read(parts, disclosure_id)


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
    """Record that a bundle is handed out; returns its number.

    Raises:
        DisclosureStateError: it was refused, or expired, while the bundle was made: it stays where it is.
    """
    x, d = exports.c, disclosures.c
    with parts.catalogue.write() as connection:
        connection.execute(sa.select(d.state).where(d.disclosure_id == disclosure_id).with_for_update()).all()
        exportable(read_in(parts, connection, disclosure_id), now)
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
        record(connection, "disclosure.exported", actor, disclosure_id, body, now)
    return int(last) + 1


def _case_json(case: Case) -> dict[str, str]:
    return {"authority": case.authority, "number": case.number, "basis": case.basis, "reason": case.reason}
