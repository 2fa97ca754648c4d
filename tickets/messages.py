"""Messages of the outbox: written, sealed, in the transaction that causes them; delivered afterwards (``outbox``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa

from retention.catalogue.sets import among, insert_numbered, insert_rows
from retention.catalogue.tables import timestamp
from retention.crypto.bodies import MESSAGES
from tickets.bodies import Bodies, month_of
from tickets.queue import Ticket
from tickets.sealing import Content
from tickets.tables_sending import outbox, outbox_tickets

PLATFORM: Final = "platform"
KAFKA: Final = "kafka"
FINDINGS: Final = "findings"
FINDINGS_KAFKA: Final = "findings-kafka"
MAIL: Final = "mail"
ROBOT: Final = "robot:"
_LOOK_UP: Final = 1_000


@dataclass(frozen=True, slots=True)
class Message:
    """A message to a ``channel`` about a ``subject``; one of the same ``key`` is written once.

    ``tickets``: those that it names beside the ones in ``body``.
    """

    channel: str
    subject: str
    key: str
    body: Mapping[str, Any]
    tickets: tuple[str, ...] = ()


def put(
    connection: sa.Connection,
    bodies: Bodies,
    *,
    channel: str,
    subject: str,
    key: str,
    body: Mapping[str, Any],
    tickets: Iterable[str] = (),
) -> None:
    """Write a message; one of the same ``key`` is written once, however often this is called.

    ``tickets``: those that it names beside the ones in ``body``.
    """
    put_all(connection, bodies, [Message(channel, subject, key, body, tuple(tickets))])


def put_all(connection: sa.Connection, bodies: Bodies, messages: Sequence[Message]) -> None:
    """Write messages; one of the same ``key`` is written once, however often this is called.

    They are sealed under a key of the present month, with which they go at last.
    """
    given = {hashlib.sha256(one.key.encode()).hexdigest(): one for one in messages}
    known: set[str] = set()
    digests = list(given)
    for begin in range(0, len(digests), _LOOK_UP):
        there = among(connection, outbox.c.key, digests[begin : begin + _LOOK_UP])
        known.update(connection.execute(sa.select(outbox.c.key).where(there)).scalars())
    new = [digest for digest in given if digest not in known]
    if not new:
        return
    now = timestamp()
    text_key = bodies.text_key(month_of(now), MESSAGES)
    rows = [
        {
            "key": digest,
            "channel": given[digest].channel,
            "subject": given[digest].subject,
            "body": bodies.seal(_plain(given[digest].body), message_context(digest), under=text_key),
            "text_key": text_key,
            "created_at": now,
            "next_at": now,
            "attempts": 0,
            "state": "waiting",
        }
        for digest in new
    ]
    numbers = insert_numbered(connection, outbox, rows, "id")
    named = {
        number: (*given[digest].tickets, *tickets_in(given[digest].body))
        for number, digest in zip(numbers, new, strict=True)
    }
    name_tickets(connection, named)


def name_tickets(connection: sa.Connection, named: Mapping[int, Iterable[str]]) -> None:
    """Say which tickets messages name, by their numbers."""
    rows = [
        {"message": number, "ticket_id": ticket_id}
        for number, tickets in named.items()
        for ticket_id in dict.fromkeys(tickets)
    ]
    insert_rows(connection, outbox_tickets, rows)


def tickets_in(body: Mapping[str, Any]) -> list[str]:
    """The tickets that a message of ours names by its content: an order's, those merged into it, those of findings."""
    named = [body.get("ticket"), *(part.get("ticket") for part in (*body.get("merged", ()), *body.get("findings", ())))]
    return [name for name in dict.fromkeys(named) if isinstance(name, str)]


def _plain(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # an account with half a surrogate pair
        pass
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")


def message_context(key: str) -> bytes:
    """What a message's body is bound to."""
    return f"outbox\x00{key}".encode()


def order_message(
    ticket: Ticket, order_id: str, measure: str, ordered_at: str, contents: Sequence[Content], channel: str
) -> Message:
    """Asks the platform for a measure: what the content is and whose, nothing of its text.

    ``contents``: that of the ticket, then that of what was merged into it.
    """
    own, *merged = contents
    body = {
        "type": "disposal.order",
        "order": order_id,
        "ticket": ticket.ticket_id,
        "measure": measure,
        "content_id": ticket.content_id,
        "source": ticket.source,
        "account": own.user_id,
        "category": ticket.category,
        "decision": ticket.decision,
        "ordered_at": ordered_at,
        "merged": [
            {"ticket": part.ticket_id, "content_id": part.content_id, "source": part.source, "account": part.user_id}
            for part in merged
        ],
    }
    return Message(channel, f"ticket:{ticket.ticket_id}", order_key(order_id, channel), body)


def order_key(order_id: str, channel: str) -> str:
    """The key of an order's message on a channel."""
    return order_id if channel == PLATFORM else f"{order_id}\x00{channel}"
