"""Requests of persons 个人权利请求: access, copy, correction, deletion; each with its clock and its answer on record.

个人信息保护法 art. 44-50: accepted and handled in time. The clock runs for ``request_days`` natural days (default 15,
the shortest that any rule names; unverified). A deletion request restricts the account at once: what a law or an
administrative regulation still keeps stays out of use, and goes as soon as the governing floor ends (art. 47).
"""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.tables import timestamp
from retention.persons.errors import RequestStateError, RequestUnknownError, RestrictionError
from retention.persons.restriction import Parts, account_blind, restricting
from retention.persons.tables import person_requests
from retention.policies.periods import shanghai_date
from retention.policies.settings import RetentionSettings

OPEN = "open"
ANSWERED = "answered"


class Kind(StrEnum):
    """What a person asks for."""

    ACCESS = "access"
    COPY = "copy"
    CORRECTION = "correction"
    DELETION = "deletion"

    @property
    def chinese(self) -> str:
        """Name for people."""
        return {"access": "查阅", "copy": "复制", "correction": "更正", "deletion": "删除"}[self.value]


class Outcome(StrEnum):
    """How a request was answered."""

    GRANTED = "granted"
    PARTLY = "partly"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PersonRequest:
    """A request with its words opened. ``days_left`` counts to the last day, negative when that is past."""

    request_id: str
    kind: str
    account: str
    text: str
    state: str
    received_at: str
    due_on: str
    days_left: int
    received_by: str
    answered_by: str | None
    answered_at: str | None
    outcome: str | None
    answer: str | None

    @property
    def overdue(self) -> bool:
        """Whether it is open past its last day."""
        return self.state == OPEN and self.days_left < 0

    def as_json(self) -> dict[str, object]:
        """The request for programs."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "overdue": self.overdue}


def receive(
    parts: Parts,
    kind: Kind,
    account: str,
    *,
    text: str,
    actor: str,
    now: datetime,
    settings: RetentionSettings,
    received_at: datetime | None = None,
) -> str:
    """Enter a request; returns its id. Asking for deletion restricts the account at once.

    Raises:
        RestrictionError: no account is named.
        RequestStateError: the time of receipt lies in the future.
    """
    if not account.strip():
        raise RestrictionError("A request names an account.", cure="Give the account as it stands in user_id.")
    received = received_at or now
    if received > now:
        raise RequestStateError("A request cannot have come in the future.", cure="Correct --received.")
    request_id = f"Q{secrets.token_hex(8)}"
    due = shanghai_date(received) + timedelta(days=settings.request_days)
    restrict_too = None
    if kind is Kind.DELETION:
        restrict_too = restricting(
            parts, account, ground="个人信息保护法 第四十七条", actor=actor, now=now, request_id=request_id
        )
    with parts.catalogue.write() as connection:
        connection.execute(
            person_requests.insert().values(
                request_id=request_id,
                kind=kind.value,
                account_blind=account_blind(parts.bodies, account),
                sealed=_sealed(parts, request_id, {"account": account, "text": text}),
                state=OPEN,
                received_at=timestamp(received),
                due_on=due.isoformat(),
                received_by=actor,
            )
        )
        body = {"kind": kind.value, "due_on": due.isoformat()}
        events.append(
            connection, kind="request.received", actor=actor, subject=f"request:{request_id}", body=body, at=now
        )
        if restrict_too is not None:
            # In the same transaction: there is no request for deletion whose account is still in use.
            # Restricted already, by an earlier request or by hand: that is what is asked for.
            with contextlib.suppress(RestrictionError):
                restrict_too(connection)
    return request_id


def answer(parts: Parts, request_id: str, outcome: Outcome, *, text: str, actor: str, now: datetime) -> None:
    """Answer a request: the clock stops, and what was answered is on record, sealed.

    Raises:
        RequestUnknownError, RequestStateError: there is none, it is answered already, or no words are given.
    """
    if not text.strip():
        raise RequestStateError("An answer needs words (art. 50: a refusal its reason).", cure="Give --text TEXT.")
    c = person_requests.c
    with parts.catalogue.write() as connection:
        row = _row(connection, request_id)
        if row.state != OPEN:
            raise RequestStateError(f"The request {request_id} is answered already.", cure="Enter a new one.")
        connection.execute(
            person_requests.update()
            .where(c.request_id == request_id)
            .values(
                state=ANSWERED,
                answered_by=actor,
                answered_at=timestamp(now),
                outcome=outcome.value,
                answer_sealed=_sealed(parts, f"{request_id}:answer", {"text": text}),
            )
        )
        late = shanghai_date(now).isoformat() > row.due_on
        body = {"outcome": outcome.value, "late": late}
        events.append(
            connection, kind="request.answered", actor=actor, subject=f"request:{request_id}", body=body, at=now
        )


def list_requests(parts: Parts, today: date, *, answered: bool = False) -> list[PersonRequest]:
    """Open requests, the most urgent first; with ``answered`` all of them."""
    c = person_requests.c
    query = sa.select(person_requests).order_by(c.due_on, c.request_id)
    if not answered:
        query = query.where(c.state == OPEN)
    with parts.catalogue.read() as connection:
        rows = connection.execute(query).all()
    return [_request(parts, row, today) for row in rows]


def read_request(parts: Parts, request_id: str, today: date) -> PersonRequest:
    """One request.

    Raises:
        RequestUnknownError: there is none of this id.
    """
    with parts.catalogue.read() as connection:
        row = _row(connection, request_id)
    return _request(parts, row, today)


def _row(connection: sa.Connection, request_id: str) -> sa.Row[Any]:
    row = connection.execute(sa.select(person_requests).where(person_requests.c.request_id == request_id)).one_or_none()
    if row is None:
        raise RequestUnknownError(
            f"There is no request {request_id[:40]!r}.", cure="`liucun requests list` shows them."
        )
    return row


def _request(parts: Parts, row: sa.Row[Any], today: date) -> PersonRequest:
    words = _opened(parts, row.request_id, row.sealed)
    told = None if row.answer_sealed is None else _opened(parts, f"{row.request_id}:answer", row.answer_sealed)
    return PersonRequest(
        request_id=row.request_id,
        kind=row.kind,
        account=words["account"],
        text=words["text"],
        state=row.state,
        received_at=row.received_at,
        due_on=row.due_on,
        days_left=(date.fromisoformat(row.due_on) - today).days,
        received_by=row.received_by,
        answered_by=row.answered_by,
        answered_at=row.answered_at,
        outcome=row.outcome,
        answer=None if told is None else told["text"],
    )


def _sealed(parts: Parts, name: str, words: dict[str, str]) -> bytes:
    data = json.dumps(words, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return parts.bodies.seal(data, f"request:{name}".encode())


def _opened(parts: Parts, name: str, sealed: bytes) -> dict[str, str]:
    found: dict[str, str] = json.loads(parts.bodies.open(sealed, f"request:{name}".encode()))
    return found
