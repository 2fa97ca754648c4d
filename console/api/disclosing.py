"""Disclosures over HTTP for the platform's own people; an authority's key has calls of its own."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from console.access.roles import Right
from console.api.gate import Caller, Needs
from console.api.models import LongText, Number, Taken
from console.errors import ForbiddenError
from console.masking import mask_account
from retention.disclosure import register, requests, serving
from retention.disclosure.register import Disclosure

router = APIRouter(prefix="/disclosures", tags=["disclosures"])
_P = Right
Reader = Annotated[Caller, Depends(Needs(_P.DISCLOSURES_READ))]
Approver = Annotated[Caller, Depends(Needs(_P.DISCLOSURES_APPROVE))]
Party = Annotated[Caller, Depends(Needs(_P.DISCLOSURES_REQUEST, _P.DISCLOSURES_APPROVE, any_of=True))]
Giver = Annotated[Caller, Depends(Needs(_P.DISCLOSURES_HAND_OUT))]


class RefusalBody(Taken):
    """Why it is refused, stopped or withdrawn."""

    reason: LongText


@router.get("")
def listing(
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    page: Annotated[int, Query(ge=1, le=20_000)] = 1,
) -> dict[str, Any]:
    """Requests, newest first, accounts masked."""
    found = register.list_disclosures(caller.parts, limit=limit, offset=(page - 1) * limit)
    return {"total": register.count_disclosures(caller.parts), "items": [_shown(one) for one in found]}


@router.get("/{number}")
def one(caller: Reader, number: Number) -> dict[str, Any]:
    """One request with its keys' numbers, accounts masked."""
    found = register.read(caller.parts, number)
    return {**_shown(found), "keys": [asdict(line) for line in serving.list_keys(caller.parts, number)]}


@router.post("/{number}/approve")
def approve(caller: Approver, number: Number) -> dict[str, Any]:
    """Approve somebody else's request; two approvals are needed."""
    return _shown(requests.approve(caller.parts, number, actor=caller.account.actor, now=datetime.now(UTC)))


@router.post("/{number}/refuse")
def refuse(caller: Party, number: Number, body: RefusalBody) -> dict[str, Any]:
    """Refuse a request, or stop an approved one; a requester may withdraw their own."""
    found = register.read(caller.parts, number)
    if not caller.may(_P.DISCLOSURES_APPROVE) and found.requested_by != caller.account.actor:
        raise ForbiddenError("Only approvers stop the requests of others.", cure="Ask an approver.")
    return _shown(
        requests.refuse(caller.parts, number, reason=body.reason, actor=caller.account.actor, now=datetime.now(UTC))
    )


@router.post("/{number}/keys/{key_id}/revoke")
def revoke(caller: Giver, number: Number, key_id: Number) -> dict[str, Any]:
    """Take back one key."""
    serving.revoke_key(caller.parts, number, key_id, actor=caller.account.actor, now=datetime.now(UTC))
    return {"disclosure_id": number, "key": key_id, "revoked": True}


def _shown(found: Disclosure) -> dict[str, Any]:
    body = found.as_json()
    scope = {**body["scope"], "accounts": [mask_account(name) for name in found.scope.accounts]}
    return {**body, "state": found.standing(datetime.now(UTC)), "scope": scope}
