"""Disclosure to an authority: requests, two approvals by others, what is handed out, keys; all of it on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Query, UploadFile
from starlette.responses import RedirectResponse, Response

from console import labels
from console.access.reveal import REVEALED, reveal, revealed
from console.access.roles import Right
from console.errors import ForbiddenError
from console.i18n import mark as _
from console.reading.disclosures import history
from console.web.render import Fields, page, say
from console.web.status import status_of
from console.web.steps import needed_moment
from console.web.visit import Gate, Visit
from errors import KeyAccessError, LiucunError, UsageError
from retention.crypto.sm2 import read_public
from retention.disclosure import register, requests, serving
from retention.disclosure.bundle import check_recipient, seal
from retention.disclosure.export import export as make_bundle
from retention.disclosure.register import Case, Disclosure
from retention.disclosure.requests import APPROVERS, MAX_DOCUMENT
from retention.disclosure.scope import ALWAYS, PLACE, Scope
from retention.schema import RECORD_SCHEMA, RecordClass

router = APIRouter(prefix="/disclosures")
_P = Right
Reader = Annotated[Visit, Depends(Gate(_P.DISCLOSURES_READ))]
Requester = Annotated[Visit, Depends(Gate(_P.DISCLOSURES_REQUEST))]
Approver = Annotated[Visit, Depends(Gate(_P.DISCLOSURES_APPROVE))]
Party = Annotated[Visit, Depends(Gate(_P.DISCLOSURES_REQUEST, _P.DISCLOSURES_APPROVE, any_of=True))]
Giver = Annotated[Visit, Depends(Gate(_P.DISCLOSURES_HAND_OUT))]
Text = Annotated[str, Form(max_length=10_000)]
Many = Annotated[list[str] | None, Form(max_length=128)]
PAGE: Final = 50
CHOOSABLE: Final = tuple(name for name in RECORD_SCHEMA.names if name not in (*ALWAYS, "raw"))
USUAL: Final = frozenset({"event_action", "source_ip", "source_port", "destination_ip", "device_id"})
"""Ticked when the form is opened: what an inquiry about a log asks for."""
_FORMS: Final = {b"%PDF": "pdf", b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"PK\x03\x04": "zip"}


@router.get("")
def show(visit: Reader, number: Annotated[int, Query(alias="page", ge=1, le=20_000)] = 1) -> Response:
    """All requests, newest first, and the form for a new one."""
    return _list(visit, number=number)


def _list(
    visit: Visit,
    *,
    number: int = 1,
    status: int = 200,
    error: LiucunError | None = None,
    form: dict[str, str] | None = None,
    classes: list[str] | None = None,
    fields: list[str] | None = None,
) -> Response:
    total = register.count_disclosures(visit.parts)
    found = register.list_disclosures(visit.parts, limit=PAGE, offset=(number - 1) * PAGE)
    now = datetime.now(UTC)
    return page(
        visit,
        "disclosures.html",
        status=status,
        rows=[(one, one.standing(now), _waits_for(visit, one, now)) for one in found],
        total=total,
        number=number,
        pages=max(1, -(-total // PAGE)),
        classes=[item.value for item in RecordClass],
        chosen_classes={RecordClass.USER_LOG.value} if classes is None else set(classes),
        fields=CHOOSABLE,
        chosen_fields=USUAL if fields is None else set(fields),
        approvers=APPROVERS,
        form=Fields(form or {}),
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


def _waits_for(visit: Visit, one: Disclosure, now: datetime) -> bool:
    """Whether this person is asked to approve it."""
    actor = visit.account.actor
    return (
        visit.may(_P.DISCLOSURES_APPROVE)
        and one.standing(now) == register.REQUESTED
        and actor not in (one.requested_by, *one.approvers)
    )


@router.post("")
def request(
    visit: Requester,
    authority: Text = "",
    case_number: Text = "",
    basis: Text = "",
    reason: Text = "",
    accounts: Annotated[str, Form(max_length=2_000_000)] = "",
    record_class: Many = None,
    field: Many = None,
    since: Text = "",
    until: Text = "",
    days: Text = "30",
    document: UploadFile | None = None,
) -> Response:
    """Enter a request with its case document."""
    given = {
        "authority": authority, "case_number": case_number, "basis": basis, "reason": reason, "accounts": accounts,
        "since": since, "until": until, "days": days,
    }  # fmt: skip
    now = datetime.now(UTC)
    try:
        scope = Scope.of(
            tuple(record_class or ()),
            tuple(filter(None, (line.strip() for line in accounts.splitlines()))),
            tuple(field or ()),
            needed_moment(since),
            needed_moment(until),
        )
        made = requests.request(
            visit.parts,
            Case(authority.strip(), case_number.strip(), basis.strip(), reason.strip()),
            scope,
            _uploaded(document, MAX_DOCUMENT),
            expires_at=now + timedelta(days=_days(days)),
            actor=visit.account.actor,
            now=now,
        )
    except LiucunError as error:
        return _list(
            visit, status=status_of(error), error=error, form=given, classes=record_class or [], fields=field or []
        )
    return _back(visit, made, _("申请已提交，等待另外两人批准。"))


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= requests.LONGEST.days:
        raise UsageError("The approval lasts 1 to 90 days.", cure="Write a number within them.")
    return int(text)


def _uploaded(file: UploadFile | None, most: int) -> bytes:
    return file.file.read(most + 1) if file is not None else b""


@router.get("/{number}")
def one(visit: Reader, number: str) -> Response:
    """One request: case, scope, who approved, what was handed out, its keys."""
    return _one(visit, number)


def _one(
    visit: Visit, number: str, *, status: int = 200, error: LiucunError | None = None, step: str = "", reason: str = "",
    issued: str | None = None,
) -> Response:  # fmt: skip
    assert visit.session is not None
    parts = visit.parts
    found = register.read(parts, number)
    now = datetime.now(UTC)
    with parts.catalogue.read() as connection:
        trail = history(connection, number)
        shown = revealed(connection, visit.session, f"disclosure:{number}")
    standing = found.standing(now)
    actor = visit.account.actor
    return page(
        visit,
        "disclosure.html",
        status=status,
        one=found,
        standing=standing,
        refusal=register.refusal(parts, number) if standing == register.REFUSED else None,
        approvers=APPROVERS,
        waits_for_me=_waits_for(visit, found, now),
        may_stop=standing in (register.REQUESTED, register.APPROVED)
        and (visit.may(_P.DISCLOSURES_APPROVE) or (visit.may(_P.DISCLOSURES_REQUEST) and actor == found.requested_by)),
        masked=not shown,
        place=PLACE,
        keys=serving.list_keys(parts, number),
        trail=trail,
        issued=issued,
        step=step,
        reason=reason,
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
    )


@router.post("/{number}/reveal")
def unmask(visit: Party, number: str, reason: Text = "") -> Response:
    """Show the accounts of the scope for a quarter of an hour, after a reason."""
    assert visit.session is not None
    parts = visit.parts
    register.read(parts, number)
    try:
        reveal(parts.catalogue, parts.bodies, visit.session, f"disclosure:{number}", reason, kind=REVEALED)
    except LiucunError as error:
        return _one(visit, number, status=400, error=error, step="reveal", reason=reason)
    return RedirectResponse(f"/disclosures/{number}", status_code=303)


@router.get("/{number}/document")
def document(visit: Party, number: str) -> Response:
    """The case document as it came; that it was taken is an event."""
    content = register.document(visit.parts, number, actor=visit.account.actor, now=datetime.now(UTC))
    ending = next((name for start, name in _FORMS.items() if content.startswith(start)), "bin")
    headers = {"Content-Disposition": f'attachment; filename="{number}-case.{ending}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.post("/{number}/approve")
def approve(visit: Approver, number: str) -> Response:
    """Approve somebody else's request."""
    try:
        found = requests.approve(visit.parts, number, actor=visit.account.actor, now=datetime.now(UTC))
    except LiucunError as error:
        return _one(visit, number, status=status_of(error), error=error)
    enough = found.state == register.APPROVED
    return _back(visit, number, _("两人均已批准，可以提供。") if enough else _("已批准，还需另一人批准。"))


@router.post("/{number}/refuse")
def refuse(visit: Party, number: str, reason: Text = "") -> Response:
    """Refuse a request, or stop an approved one; a requester may withdraw their own."""
    if not visit.may(_P.DISCLOSURES_APPROVE) and register.read(visit.parts, number).requested_by != visit.account.actor:
        raise ForbiddenError("Only approvers stop the requests of others.", cure="Ask an approver.")
    try:
        requests.refuse(visit.parts, number, reason=reason, actor=visit.account.actor, now=datetime.now(UTC))
    except LiucunError as error:
        return _one(visit, number, status=status_of(error), error=error, step="refuse", reason=reason)
    return _back(visit, number, _("已拒绝或停止，密钥同时失效。"))


@router.post("/{number}/export")
def export(
    visit: Giver,
    number: str,
    password: Annotated[str, Form(max_length=256)] = "",
    again: Annotated[str, Form(max_length=256)] = "",
    recipient: UploadFile | None = None,
) -> Response:
    """The bundle, sealed for its recipient; on record before it is handed out."""
    parts = visit.parts
    try:
        pem = _uploaded(recipient, 100_000)
        public = _public(pem) if pem else None
        if password != again:
            raise UsageError("The two passwords differ.", cure="Type the same twice.")
        check_recipient(public, password or None)
        if parts.log is None:
            raise UsageError("This console has no log to prove the bundle by.", cure="Use `liucun disclose export`.")
        made = make_bundle(
            parts, parts.log, number, actor=visit.account.actor, now=datetime.now(UTC), fonts=parts.company.fonts
        )
    except LiucunError as error:
        return _one(visit, number, status=status_of(error), error=error, step="export")
    sealed = seal(number, made.data, recipient=public, password=password or None)
    headers = {"Content-Disposition": f'attachment; filename="{number}-{made.number}.{"lcb" if public else "zip"}"'}
    return Response(sealed, media_type="application/octet-stream", headers=headers)


def _public(pem: bytes) -> bytes:
    try:
        return read_public(pem.decode("utf-8", "replace"), where="the recipient's key")
    except KeyAccessError as error:
        raise UsageError(error.what, cure=error.cure) from error


@router.post("/{number}/keys")
def issue(visit: Giver, number: str) -> Response:
    """Make a key for the authority and show it once."""
    try:
        key = serving.issue_key(visit.parts, number, actor=visit.account.actor, now=datetime.now(UTC))
    except LiucunError as error:
        return _one(visit, number, status=status_of(error), error=error)
    return _one(visit, number, issued=key)


@router.post("/{number}/keys/{key_id}/revoke")
def revoke(visit: Giver, number: str, key_id: str) -> Response:
    """Take back one key."""
    try:
        serving.revoke_key(visit.parts, number, key_id, actor=visit.account.actor, now=datetime.now(UTC))
    except LiucunError as error:
        return _one(visit, number, status=status_of(error), error=error)
    return _back(visit, number, _("密钥已吊销。"))


def _back(visit: Visit, number: str, text: str) -> Response:
    response = RedirectResponse(f"/disclosures/{number}", status_code=303)
    visit.say(response, say(visit, text))
    return response
