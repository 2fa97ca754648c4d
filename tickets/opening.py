"""Findings become tickets: one a piece of content, opened or extended in the batch's own transaction.

``prepare`` does the crypto and the text work before the transaction; ``open_or_extend``
only inserts and updates. Ticket numbers follow from the content alone, so that a run
that was cut off and repeated opens the same tickets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies, month_of, seal_beside, text_context, ticket_context
from tickets.opening_rows import OpeningRows
from tickets.recall import remembered
from tickets.retaining import took_in
from tickets.similar import Sketch, Sketcher
from tickets.states import EXTENDABLE, Channel, Part, State
from tickets.tables import texts as text_table
from tickets.tables import tickets as ticket_table
from tickets.telling import AS_SHIPPED, Opening, said_of, tell
from tickets.weights import weight_of

_LOOK_UP = 500
_HIT_COLUMNS = ("rule", "category", "subtype", "severity", "start", "end", "score", "version")


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
    reach: int = 0
    """Views and reposts, as far as known."""
    blocked_at: datetime | None = None
    """When the platform blocked it by itself, before anybody looked."""
    details: Mapping[str, str] = dataclass_field(default_factory=dict)
    """What else is known: URL, reference; sealed with the text."""


@dataclass(frozen=True, slots=True)
class _Content:
    """All findings of one piece of content in a batch; ``row`` are the ticket's columns without its number."""

    key: str
    row: dict[str, object]
    body: bytes
    sealed: bytes
    findings: tuple[dict[str, object], ...]
    reasons: frozenset[tuple[str, str, str]]
    """(blinded text, rule, version) of every hit: what a remembered dismissal must cover."""
    sketch: Sketch | None
    texts: tuple[tuple[str, str, int, str], ...]
    """(blinded text, field, offset, text) of every text with a hit."""
    user_id: str | None


@dataclass(frozen=True, slots=True)
class PreparedFindings:
    """What is ready to be written."""

    contents: tuple[_Content, ...]
    bodies: Bodies
    now: str
    channels: tuple[str, ...] = ()
    """The ways by which the platform is told of them."""


@dataclass(frozen=True, slots=True)
class OpenedCounts:
    """Tickets opened (linked ones included) and extended."""

    opened: int = 0
    extended: int = 0


def prepare(
    bodies: Bodies, contents: Iterable[ContentFinding], *, now: datetime, opening: Opening = AS_SHIPPED
) -> PreparedFindings:
    """Group findings by content, seal the texts and blind what is looked up."""
    at = _Moment(timestamp(now), timestamp(now + timedelta(minutes=opening.disposal_minutes)))
    grouped: dict[str, list[ContentFinding]] = {}
    for content in contents:
        grouped.setdefault(_key(bodies, content), []).append(content)
    sketches = Sketcher(bodies).sketches([group[0].text for group in grouped.values()])
    ready = (
        _prepared(bodies, sketch, key, group, at)
        for sketch, (key, group) in zip(sketches, grouped.items(), strict=True)
    )
    return PreparedFindings(tuple(ready), bodies, at.now, opening.channels)


def open_or_extend(connection: sa.Connection, prepared: PreparedFindings) -> OpenedCounts:
    """Open a ticket for every new piece of content and extend those that are still undisposed.

    What a person dismissed before (same text, same rules of the same versions) is dismissed at once, with a record; a
    dismissed ticket with other findings is opened again. Runs in the caller's transaction, with an event a ticket.
    """
    newest = _newest(connection, [content.key for content in prepared.contents])
    forgiven = remembered(connection, (content.reasons for content in prepared.contents), prepared.now)
    batch = OpeningRows()
    again: dict[str, tuple[str, _Content]] = {}
    told: list[dict[str, Any]] = []
    for content in prepared.contents:
        existing = newest.get(content.key)
        known = next((forgiven[reason] for reason in content.reasons if reason in forgiven), None)
        harmless = known if content.reasons <= forgiven.keys() else None
        if existing is not None and existing.state in _EXTENDABLE:
            ticket_id = existing.ticket_id
            batch.extended.append(_extension(existing, content))
            again[ticket_id] = (existing.text_blind, content)
            state = existing.state
            if state == State.DISMISSED and harmless is None:
                batch.reopened.append(ticket_id)
                state = State.DETECTED.value
        else:
            row = _opening(existing, content, prepared)
            ticket_id = str(row["ticket_id"])
            if harmless is not None:
                row |= {"state": State.DISMISSED.value, "part": int(Part.REST)}
                batch.dismissed.append((ticket_id, harmless))
            batch.opened.append(row)
            batch.sketches.append((ticket_id, content.sketch))
            state = str(row["state"])
        if prepared.channels:
            said = said_of(content.row, content.user_id, content.findings)
            told.append({"ticket": ticket_id, "state": state, **said})
        batch.findings += [{**finding, "ticket_id": ticket_id} for finding in content.findings]
    keys = {row.ticket_id: row.text_key for row in newest.values()}
    batch.texts = _later_texts(connection, prepared, again, keys)
    batch.write(connection)
    tell(connection, prepared.bodies, prepared.channels, told)
    return OpenedCounts(len(batch.opened), len(batch.extended))


_EXTENDABLE: Final = frozenset(state.value for state in EXTENDABLE)


@dataclass(frozen=True, slots=True)
class _Moment:
    """Now, and when the disposal's target runs out, as the catalogue writes them."""

    now: str
    dispose_by: str


def _later_texts(
    connection: sa.Connection,
    prepared: PreparedFindings,
    again: Mapping[str, tuple[str, _Content]],
    keys: Mapping[str, str | None],
) -> list[dict[str, object]]:
    """Texts that extended tickets do not have yet: who triages must see what the content says by now."""
    new = {
        (number, text[0]): text
        for number, (first, content) in again.items()
        for text in content.texts
        if text[0] != first
    }
    numbers = sorted({number for number, _ in new})
    for begin in range(0, len(numbers), _LOOK_UP):
        t = text_table.c
        known = sa.select(t.ticket_id, t.text_blind).where(t.ticket_id.in_(numbers[begin : begin + _LOOK_UP]))
        for number, blind in connection.execute(known):
            new.pop((number, blind), None)
    rows: list[dict[str, object]] = []
    for (number, blind), (_, field, offset, text) in new.items():
        # Rare: bound to a number that is known only here.
        data = text.encode("utf-8", "surrogatepass")
        sealed, key_id = seal_beside(prepared.bodies, data, text_context(number, blind), keys.get(number), prepared.now)
        took_in(connection, [number], key_id)
        rows.append(
            {
                "ticket_id": number,
                "text_blind": blind,
                "field": field,
                "offset": offset,
                "at": prepared.now,
                "body": sealed,
            }
        )
    return rows


def _key(bodies: Bodies, content: ContentFinding) -> str:
    place = ("id", content.content_id) if content.content_id else ("at", content.partition, str(content.offset))
    return bodies.blind(json.dumps([content.source, *place]), "ticket content")


def _prepared(
    bodies: Bodies, sketch: Sketch | None, key: str, group: Sequence[ContentFinding], at: _Moment
) -> _Content:
    first = group[0]
    hits = [hit for content in group for hit in content.findings]
    worst = max(hits, key=lambda hit: (hit.severity, hit.score))
    body = json.dumps(
        {
            "texts": [{"field": c.field, "text": c.text, "offset": c.offset} for c in group],
            "user_id": first.user_id,
            "details": {name: value for c in group for name, value in c.details.items()},
        },
        ensure_ascii=False,
    ).encode("utf-8", "surrogatepass")
    blinds = [bodies.blind(content.text, "text") for content in group]
    reach = max(content.reach for content in group)
    blocked = min((content.blocked_at for content in group if content.blocked_at), default=None)
    row: dict[str, object] = {
        "content_key": key,
        "source": first.source,
        "partition": first.partition,
        "offset": first.offset,
        "content_id": first.content_id,
        "record_class": first.record_class,
        "field": first.field,
        "account_blind": bodies.blind(first.user_id, "account") if first.user_id else None,
        "text_blind": blinds[0],
        "category": worst.category,
        "subtype": worst.subtype,
        "severity": worst.severity,
        "score": max(hit.score for hit in hits),
        "findings": len(hits),
        "channel": channel_of(worst.rule).value,
        "state": State.DETECTED.value,
        "event_time": timestamp(first.event_time),
        "detected_at": at.now,
        "dispose_by": at.dispose_by,
        "reach": reach,
        "weight": weight_of(worst.severity, reach),
        "part": int(Part.DISPOSE),
        "blocked_at": timestamp(blocked) if blocked else None,
        "due_provisional": False,
        "version": 1,
    }
    rows = tuple(
        {
            **{name: getattr(hit, name) for name in _HIT_COLUMNS},
            "partition": content.partition,
            "offset": content.offset,
            "field": content.field,
        }
        for content in group
        for hit in content.findings
    )
    texts = tuple((blind, c.field, c.offset, c.text) for blind, c in zip(blinds, group, strict=True))
    reasons = frozenset(
        (blind, hit.rule, hit.version) for blind, content in zip(blinds, group, strict=True) for hit in content.findings
    )
    text_key = row["text_key"] = bodies.text_key(month_of(at.now))
    sealed = bodies.seal(body, ticket_context(_number(key, 1)), under=text_key)
    return _Content(key, row, body, sealed, rows, reasons, sketch, texts, first.user_id)


def channel_of(rule: str) -> Channel:
    """How a rule discovers: the word before its colon if that names a channel, else by keywords."""
    word, colon, _ = rule.partition(":")
    return Channel(word) if colon and word in {channel.value for channel in Channel} else Channel.KEYWORD


def _number(key: str, sequence: int) -> str:
    """Ticket number: from the content's blinded key, and how many tickets the content had before."""
    return f"T{key[:16].upper()}" + (f"-{sequence}" if sequence > 1 else "")


def _newest(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Any]:
    c = ticket_table.c
    names = "content_key ticket_id sequence state severity score category subtype reach text_blind text_key"
    columns = [c[name] for name in names.split()]
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
        "body": prepared.bodies.seal(content.body, ticket_context(ticket_id), under=str(content.row["text_key"])),
    }


def _extension(existing: sa.Row[Any], content: _Content) -> dict[str, object]:
    worse = (content.row["severity"], content.row["score"]) > (existing.severity, existing.score)
    severity = int(str(content.row["severity"])) if worse else int(existing.severity)
    reach = max(int(str(content.row["reach"])), int(existing.reach))
    return {
        "b_ticket_id": existing.ticket_id,
        "b_severity": severity,
        "b_reach": reach,
        "b_weight": weight_of(severity, reach),
        "b_subtype": content.row["subtype"] if worse else existing.subtype,
        "b_category": content.row["category"] if worse else existing.category,
        "b_score": max(float(str(content.row["score"])), float(existing.score)),
        "b_findings": len(content.findings),
    }
