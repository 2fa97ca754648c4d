"""Tickets opened by hand 人工立案: users' complaints, orders of an authority, verdicts of outside engines."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from errors import UsageError
from retention.catalogue.tables import timestamp
from tickets.actors import Right
from tickets.categories import categories
from tickets.clocks import given_time
from tickets.opening import ContentFinding, Hit, open_or_extend, prepare
from tickets.queue import Ticket
from tickets.states import Channel
from tickets.steps.base import earliest
from tickets.steps.joining import JoiningSteps
from tickets.tables import tickets as table
from tickets.telling import Opening
from tickets.weights import MAX_SEVERITY

BY_HAND = frozenset({Channel.HUMAN, Channel.COMPLAINT, Channel.AUTHORITY, Channel.ENGINE})
MAX_TEXT = 100_000
_LONGEST = {
    "source": 128,
    "subtype": 64,
    **dict.fromkeys(("content_id", "user_id", "url", "reference", "engine"), 2_000),
}
"""Characters that a field may hold."""
_WORDS = ("category", "text", *_LONGEST)


@dataclass(frozen=True, slots=True)
class ManualFinding:
    """What somebody found or was told.

    ``reference`` is the number of the complaint or order, or the engine's job; ``own_due_at`` the authority's own
    deadline; ``score`` an engine's. ``blocked_at``: the platform blocked it already.
    """

    channel: Channel
    category: str
    text: str
    severity: int = 3
    subtype: str | None = None
    source: str = "manual"
    content_id: str | None = None
    user_id: str | None = None
    url: str = ""
    reference: str = ""
    engine: str = ""
    score: float = 1.0
    reach: int = 0
    event_time: datetime | None = None
    own_due_at: datetime | None = None
    blocked_at: datetime | None = None
    details: Mapping[str, str] = field(default_factory=dict)


class OpeningSteps(JoiningSteps):
    """Steps that open tickets."""

    def open_manual(self, finding: ManualFinding) -> Ticket:
        """Open a ticket, or extend the open one of the same content (source, ``content_id``).

        Raises:
            UsageError: the category, the times or the text are none.
        """
        self.who.require(Right.TICKETS_OPEN)
        now = datetime.now(UTC)
        finding = _clean(finding)
        for moment in (finding.event_time, finding.own_due_at, finding.blocked_at):
            if moment is not None:
                given_time(moment)
        self._check(finding, now)
        content = self._content(finding, now)
        prepared = prepare(self.bodies, [content], now=now, opening=Opening.of(self.settings))
        with self.catalogue.write() as connection:
            open_or_extend(connection, prepared)
            number = connection.execute(
                sa.select(table.c.ticket_id)
                .where(table.c.content_key == prepared.contents[0].key)
                .order_by(table.c.sequence.desc())
                .limit(1)
            ).scalar_one()
            ticket = self._ticket(connection, number)
            due = timestamp(finding.own_due_at) if finding.own_due_at else None
            values: dict[str, object] = {"own_due_at": earliest(ticket.own_due_at, due)}
            if due is not None:
                values["dispose_by"] = earliest(ticket.dispose_by, due)
            if finding.channel is Channel.AUTHORITY:
                values["channel"] = Channel.AUTHORITY.value
            said = {"channel": finding.channel.value, "own_due_at": due}
            self._note(connection, number, finding.reference)
            return self._change(connection, ticket, "ticket.opened_by_hand", values, said)

    def _content(self, finding: ManualFinding, now: datetime) -> ContentFinding:
        rule = f"{finding.channel.value}:{finding.engine or finding.channel.value}"
        hit = Hit(
            rule=rule,
            category=finding.category,
            subtype=finding.subtype,
            severity=finding.severity,
            start=0,
            end=len(finding.text),
            matched=finding.text,
            score=finding.score,
            version=timestamp(now),
        )
        said = {"url": finding.url, "reference": finding.reference, "engine": finding.engine, "by": self.who.name}
        return ContentFinding(
            source=finding.source,
            # Its own place when it names no content: two complaints are never one by accident.
            partition=f"manual:{secrets.token_hex(8)}",
            offset=0,
            content_id=finding.content_id or None,
            record_class="content",
            user_id=finding.user_id or None,
            field="text",
            text=finding.text,
            event_time=finding.event_time or now,
            findings=(hit,),
            reach=finding.reach,
            blocked_at=finding.blocked_at,
            details={**{name: value for name, value in said.items() if value}, **finding.details},
        )

    @staticmethod
    def _check(finding: ManualFinding, now: datetime) -> None:
        wrong: str | None = None
        if finding.channel not in BY_HAND:
            wrong = f"the channel {finding.channel.value} opens no ticket by hand"
        elif finding.category not in categories():
            wrong = f"there is no category {finding.category!r}"
        elif not finding.text.strip() or len(finding.text) > MAX_TEXT:
            wrong = f"the text is missing or longer than {MAX_TEXT} characters"
        elif (
            not 1 <= finding.severity <= MAX_SEVERITY or not 0 <= finding.score <= 1 or not 0 <= finding.reach < 1 << 62
        ):
            wrong = "severity (1 to 4), score (0 to 1) or reach is out of range"
        elif any(moment and moment > now for moment in (finding.event_time, finding.blocked_at)):
            wrong = "the content or its block lies in the future"
        elif (
            any(len(getattr(finding, name) or "") > most for name, most in _LONGEST.items())
            or len(json.dumps(dict(finding.details))) > MAX_TEXT
        ):
            wrong = "a field is too long"
        if wrong is not None:
            raise UsageError(f"No ticket can be opened: {wrong}.", cure="Correct it and try again.")


def _clean(finding: ManualFinding) -> ManualFinding:
    """The same without lone surrogates, which no database and no hash takes; each becomes U+FFFD."""
    words: dict[str, Any] = {name: _whole(value) for name in _WORDS if isinstance(value := getattr(finding, name), str)}
    details = {_whole(name): _whole(value) for name, value in finding.details.items()}
    return replace(finding, **words, details=details)


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
