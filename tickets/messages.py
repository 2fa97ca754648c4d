"""Messages of the outbox: written, sealed, in the transaction that causes them; delivered afterwards (``outbox``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa

from retention.catalogue.sets import among, insert_rows
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies
from tickets.queue import Ticket
from tickets.sealing import Content
from tickets.tables_sending import outbox

PLATFORM: Final = "platform"
KAFKA: Final = "kafka"
FINDINGS: Final = "findings"
FINDINGS_KAFKA: Final = "findings-kafka"
MAIL: Final = "mail"
ROBOT: Final = "robot:"
_LOOK_UP: Final = 1_000


@dataclass(frozen=True, slots=True)
class Message:
    """A message to a ``channel`` about a ``subject``; one of the same ``key`` is written once."""

    channel: str
    subject: str
    key: str
    body: Mapping[str, Any]


def put(
    connection: sa.Connection, bodies: Bodies, *, channel: str, subject: str, key: str, body: Mapping[str, Any]
) -> None:
    """Write a message; one of the same ``key`` is written once, however often this is called."""
    put_all(connection, bodies, [Message(channel, subject, key, body)])


def put_all(connection: sa.Connection, bodies: Bodies, messages: Sequence[Message]) -> None:
    """Write messages; one of the same ``key`` is written once, however often this is called."""
    given = {hashlib.sha256(one.key.encode()).hexdigest(): one for one in messages}
    known: set[str] = set()
    digests = list(given)
    for begin in range(0, len(digests), _LOOK_UP):
        there = among(connection, outbox.c.key, digests[begin : begin + _LOOK_UP])
        known.update(connection.execute(sa.select(outbox.c.key).where(there)).scalars())
    now = timestamp()
    rows = [
        {
            "key": digest,
            "channel": one.channel,
            "subject": one.subject,
            "body": bodies.seal(_plain(one.body), message_context(digest)),
            "created_at": now,
            "next_at": now,
            "attempts": 0,
            "state": "waiting",
        }
        for digest, one in given.items()
        if digest not in known
    ]
    insert_rows(connection, outbox, rows)


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
