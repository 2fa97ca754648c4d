"""Messages of the outbox: written, sealed, in the transaction that causes them; delivered afterwards (``outbox``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

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


def put(
    connection: sa.Connection, bodies: Bodies, *, channel: str, subject: str, key: str, body: Mapping[str, Any]
) -> None:
    """Write a message; one of the same ``key`` is written once, however often this is called."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    if connection.execute(sa.select(outbox.c.id).where(outbox.c.key == digest)).first() is not None:
        return
    plain = json.dumps(body, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
    now = timestamp()
    connection.execute(
        outbox.insert().values(
            key=digest,
            channel=channel,
            subject=subject,
            body=bodies.seal(plain, message_context(digest)),
            created_at=now,
            next_at=now,
            attempts=0,
            state="waiting",
        )
    )


def message_context(key: str) -> bytes:
    """What a message's body is bound to."""
    return f"outbox\x00{key}".encode()


def order_message(
    connection: sa.Connection,
    bodies: Bodies,
    ticket: Ticket,
    order_id: str,
    measure: str,
    ordered_at: str,
    contents: Sequence[Content],
    channel: str,
) -> None:
    """Ask the platform for a measure: what the content is and whose, nothing of its text.

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
    key = order_key(order_id, channel)
    put(connection, bodies, channel=channel, subject=f"ticket:{ticket.ticket_id}", key=key, body=body)


def order_key(order_id: str, channel: str) -> str:
    """The key of an order's message on a channel."""
    return order_id if channel == PLATFORM else f"{order_id}\x00{channel}"
