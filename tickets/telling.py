"""Findings told to the platform as they are made: by webhook, by a topic, or both, through the outbox.

What was found and where, with the ticket that it opened or extended and that ticket's state; nothing of the text. The
messages are written in the batch's own transaction, so that what is committed is told and nothing else is.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tickets.bodies import Bodies
from tickets.clocks import DISPOSAL
from tickets.messages import FINDINGS, FINDINGS_KAFKA, put
from tickets.settings import TicketSettings

MOST_CONTENTS: Final = 100
"""Pieces of content in one message of the outbox."""
MOST_HITS: Final = 50
"""Hits named of one piece of content: a topic takes a megabyte, and a text of megabytes may be hit everywhere."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How tickets are opened: minutes from detection to disposal, and the ways by which findings are told."""

    disposal_minutes: int = DISPOSAL.amount
    channels: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: TicketSettings) -> Opening:
        """As the settings say."""
        findings = settings.platform.findings
        ways = ((FINDINGS, bool(findings.url)), (FINDINGS_KAFKA, findings.kafka is not None))
        return cls(settings.disposal_minutes, tuple(channel for channel, there in ways if there))


AS_SHIPPED: Final = Opening()


def said_of(row: Mapping[str, object], user_id: str | None, hits: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    """What is said of one piece of content; ``row`` are the columns of its ticket, ``hits`` of its findings."""
    named = ("content_id", "source", "record_class", "category", "subtype", "severity", "score", "channel")
    return {
        **{name: row[name] for name in (*named, "event_time", "detected_at")},
        "account": user_id,
        "hits": [dict(hit) for hit in hits[:MOST_HITS]],
        "hits_in_all": len(hits),
    }


def tell(
    connection: sa.Connection, bodies: Bodies, channels: Sequence[str], contents: Sequence[Mapping[str, Any]]
) -> None:
    """Write what a batch found into the outbox, for every channel."""
    for first in range(0, len(contents), MOST_CONTENTS):
        part = list(contents[first : first + MOST_CONTENTS])
        batch = f"F{secrets.token_hex(8).upper()}"
        body = {"type": "findings", "batch": batch, "findings": part}
        for channel in channels:
            put(
                connection, bodies, channel=channel, subject=f"findings:{batch}", key=f"{batch}\x00{channel}", body=body
            )
