"""Findings become tickets: one a piece of content, opened or extended in the batch's own transaction.

``prepare`` does the crypto and the text work before the transaction; ``open_or_extend``
only inserts and updates. Ticket numbers follow from the content alone, so that a run
that was cut off and repeated opens the same tickets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from retention.catalogue import events
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies, ticket_context
from tickets.states import EXTENDABLE, State
from tickets.tables import findings as finding_table
from tickets.tables import tickets as ticket_table

_LOOK_UP = 500
ACTOR = "system:detect"


@dataclass(frozen=True, slots=True)
class Hit:
    """One hit of a rule or model in a text; offsets in code points, end exclusive."""

    rule: str
    category: str
    subtype: str | None
    severity: int
    start: int
    end: int
    matched: str
    score: float
    version: str


@dataclass(frozen=True, slots=True)
class ContentFinding:
    """The hits in one published text, and where it stood. ``content_id`` is None when the record names none."""

    source: str
    partition: str
    offset: int
    content_id: str | None
    record_class: str
    user_id: str | None
    field: str
    text: str
    event_time: datetime
    findings: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class _Content:
    """All findings of one piece of content in a batch; ``row`` are the ticket's columns without its number."""

    key: str
    row: dict[str, object]
    body: bytes
    sealed: bytes
    findings: tuple[dict[str, object], ...]


@dataclass(frozen=True, slots=True)
class PreparedFindings:
    """What is ready to be written."""

    contents: tuple[_Content, ...]
    bodies: Bodies
    now: str


@dataclass(frozen=True, slots=True)
class OpenedCounts:
    """Tickets opened (linked ones included) and extended."""

    opened: int = 0
    extended: int = 0


def prepare(bodies: Bodies, contents: Iterable[ContentFinding], *, now: datetime) -> PreparedFindings:
    """Group findings by content, seal the texts and blind what is looked up."""
    at = timestamp(now)
    grouped: dict[str, list[ContentFinding]] = {}
    for content in contents:
        grouped.setdefault(_key(bodies, content), []).append(content)
    return PreparedFindings(tuple(_prepared(bodies, key, group, at) for key, group in grouped.items()), bodies, at)


def open_or_extend(connection: sa.Connection, prepared: PreparedFindings) -> OpenedCounts:
    """Open a ticket for every new piece of content and extend those that are still undisposed.

    Runs in the caller's transaction, with an event for each ticket.
    """
    newest = _newest(connection, [content.key for content in prepared.contents])
    opened: list[dict[str, object]] = []
    extended: list[dict[str, object]] = []
    found: list[dict[str, object]] = []
    for content in prepared.contents:
        existing = newest.get(content.key)
        if existing is not None and existing.state in {state.value for state in EXTENDABLE}:
            ticket_id = existing.ticket_id
            extended.append(_extension(existing, content))
        else:
            row = _opening(existing, content, prepared)
            ticket_id = str(row["ticket_id"])
            opened.append(row)
        found += [{**finding, "ticket_id": ticket_id} for finding in content.findings]
    if opened:
        connection.execute(ticket_table.insert(), opened)
    if extended:
        _extend(connection, extended)
    if found:
        connection.execute(finding_table.insert(), found)
    _record(connection, opened, extended)
    return OpenedCounts(len(opened), len(extended))


def _key(bodies: Bodies, content: ContentFinding) -> str:
    place = ("id", content.content_id) if content.content_id else ("at", content.partition, str(content.offset))
    return bodies.blind(json.dumps([content.source, *place]), "ticket content")


def _prepared(bodies: Bodies, key: str, group: Sequence[ContentFinding], now: str) -> _Content:
    first = group[0]
    hits = [hit for content in group for hit in content.findings]
    worst = max(hits, key=lambda hit: (hit.severity, hit.score))
    body = json.dumps(
        {"texts": [{"field": c.field, "text": c.text, "offset": c.offset} for c in group], "user_id": first.user_id},
        ensure_ascii=False,
    ).encode("utf-8", "surrogatepass")
    row: dict[str, object] = {
        "content_key": key,
        "source": first.source,
        "partition": first.partition,
        "offset": first.offset,
        "content_id": first.content_id,
        "record_class": first.record_class,
        "field": first.field,
        "account_blind": bodies.blind(first.user_id, "account") if first.user_id else None,
        "text_blind": bodies.blind(first.text, "text"),
        "category": worst.category,
        "severity": worst.severity,
        "score": max(hit.score for hit in hits),
        "findings": len(hits),
        "channel": "model" if worst.rule.startswith("model:") else "keyword",
        "state": State.DETECTED.value,
        "event_time": timestamp(first.event_time),
        "detected_at": now,
        "due_provisional": False,
        "version": 1,
    }
    rows = tuple(
        {
            **{name: value for name, value in asdict(hit).items() if name != "matched"},
            "partition": content.partition,
            "offset": content.offset,
            "field": content.field,
        }
        for content in group
        for hit in content.findings
    )
    return _Content(key, row, body, bodies.seal(body, ticket_context(_number(key, 1))), rows)


def _number(key: str, sequence: int) -> str:
    """Ticket number: from the content's blinded key, and how many tickets the content had before."""
    return f"T{key[:16].upper()}" + (f"-{sequence}" if sequence > 1 else "")


def _newest(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Any]:
    c = ticket_table.c
    columns = (c.content_key, c.ticket_id, c.sequence, c.state, c.severity, c.score, c.category)
    found: dict[str, Any] = {}
    for begin in range(0, len(keys), _LOOK_UP):
        part = keys[begin : begin + _LOOK_UP]
        for row in connection.execute(sa.select(*columns).where(c.content_key.in_(part)).order_by(c.sequence)):
            found[row.content_key] = row
    return found


def _opening(existing: sa.Row[Any] | None, content: _Content, prepared: PreparedFindings) -> dict[str, object]:
    if existing is None:
        return {
            **content.row,
            "ticket_id": _number(content.key, 1),
            "sequence": 1,
            "linked_to": None,
            "body": content.sealed,
        }
    sequence = existing.sequence + 1
    ticket_id = _number(content.key, sequence)
    return {
        **content.row,
        "ticket_id": ticket_id,
        "sequence": sequence,
        "linked_to": existing.ticket_id,
        # Rare: the body must be bound to a number that is known only here.
        "body": prepared.bodies.seal(content.body, ticket_context(ticket_id)),
    }


def _extension(existing: sa.Row[Any], content: _Content) -> dict[str, object]:
    worse = (content.row["severity"], content.row["score"]) > (existing.severity, existing.score)
    return {
        "b_ticket_id": existing.ticket_id,
        "b_severity": content.row["severity"] if worse else existing.severity,
        "b_category": content.row["category"] if worse else existing.category,
        "b_score": max(float(str(content.row["score"])), float(existing.score)),
        "b_findings": len(content.findings),
    }


def _extend(connection: sa.Connection, rows: list[dict[str, object]]) -> None:
    c = ticket_table.c
    connection.execute(
        ticket_table.update()
        .where(c.ticket_id == sa.bindparam("b_ticket_id"))
        .values(
            severity=sa.bindparam("b_severity"),
            category=sa.bindparam("b_category"),
            score=sa.bindparam("b_score"),
            findings=c.findings + sa.bindparam("b_findings"),
            version=c.version + 1,
        ),
        rows,
    )


def _record(connection: sa.Connection, opened: list[dict[str, object]], extended: list[dict[str, object]]) -> None:
    events.append_many(
        connection,
        [
            (
                f"ticket:{row['ticket_id']}",
                {
                    "to": State.DETECTED.value,
                    "category": row["category"],
                    "severity": row["severity"],
                    "detected_at": row["detected_at"],
                    "linked_to": row["linked_to"],
                },
            )
            for row in opened
        ],
        kind="ticket.opened",
        actor=ACTOR,
    )
    events.append_many(
        connection,
        [(f"ticket:{row['b_ticket_id']}", {"findings": row["b_findings"]}) for row in extended],
        kind="ticket.extended",
        actor=ACTOR,
    )
