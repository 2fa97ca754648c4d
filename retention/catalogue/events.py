"""The actors' trail: every change of state appends an event in the transaction that makes it.

Events are written when the transaction ends (``collected``, around ``Catalogue.write``): all in one statement, each
subject's last one with the images of the subject's rows as they stand then, and queued for the transparency log. So
they are written once, and no transaction looks at rows between which others insert theirs, for which PostgreSQL would
refuse one of two that have nothing to do with each other. Inside its own transaction an event cannot be read yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from retention.catalogue import images, sets
from retention.catalogue.tables import events, log_pending, timestamp

_OPEN: Final = "liucun_events"
"""Where a connection keeps the events of its open transaction."""
SEGMENT: Final = "segment"
EVENT: Final = "event"
DESTROYED: Final = "segment.destroyed"
"""Kind of the event that a segment was lawfully destroyed: subject ``segment:ID``."""
CONDEMNED: Final = "objects.condemned"
"""Kind of the event that orphans (``orphans``: their names) are to be deleted, and may not be named any more."""
COLLECTED: Final = "objects.collected"
"""Kind of the event that orphans, and objects of replaced segments, were deleted."""
HOLES: Final = "source.holes"
"""Kind of the event that a committed range of a topic has ``offsets`` without a message, the first ``ranges`` named."""
BEGINS: Final = "source.begins"
"""Kind of the event that the account of a topic's partition begins at ``start``: nothing before it was left."""
CONDEMNED_RECORD: Final = "source.condemned"
"""Kind of the event that the record at ``start`` was archived unread: ``tries`` workers died over it, one by one."""


def append(
    connection: sa.Connection,
    *,
    kind: str,
    actor: str,
    subject: str,
    body: Mapping[str, object],
    at: datetime | None = None,
) -> None:
    """Append one event. ``body`` must hold no personal data and no content."""
    append_many(connection, [(subject, body)], kind=kind, actor=actor, at=at)


def append_many(
    connection: sa.Connection,
    rows: Sequence[tuple[str, Mapping[str, object]]],
    *,
    kind: str,
    actor: str,
    at: datetime | None = None,
) -> None:
    """Append one event for each (subject, body).

    Raises:
        KeyError: the connection is not in a transaction of ``Catalogue.write``; nothing would ever write them.
    """
    moment = timestamp(at)
    connection.info[_OPEN].extend(_row(kind, actor, subject, body, moment) for subject, body in rows)


def appended(connection: sa.Connection, kind: str, subject: str) -> list[str]:
    """The bodies of the events of a kind that this transaction has appended about a subject: no query sees them yet."""
    opened: list[dict[str, Any]] = connection.info.get(_OPEN, [])
    return [row["body"] for row in opened if (row["kind"], row["subject"]) == (kind, subject)]


@contextmanager
def collected(connection: sa.Connection) -> Iterator[None]:
    """Around a write transaction: what is appended in it is written when it ends, and nowhere else taken."""
    opened: list[dict[str, Any]] = []
    # Taken now: of a connection that was cut it cannot be asked any more, and what cut it must be told.
    kept = connection.info
    kept[_OPEN] = opened
    try:
        yield
        _write(connection, opened)
    finally:
        # The connection goes back to the pool: whoever has it next must not find them.
        kept.pop(_OPEN, None)


def _write(connection: sa.Connection, opened: Sequence[dict[str, Any]]) -> None:
    if not opened:
        return
    last = {row["subject"]: row for row in opened}
    for subject, image in images.images(connection, last).items():
        last[subject]["payload"] = orjson.dumps(image, option=orjson.OPT_SORT_KEYS)
    numbers = sets.insert_numbered(connection, events, opened, "id")
    queue(connection, EVENT, [str(number) for number in numbers])


def queue(connection: sa.Connection, kind: str, refs: Sequence[str]) -> None:
    """Let the log number these segments or events after the transaction."""
    sets.insert_rows(connection, log_pending, [{"type": kind, "ref": ref} for ref in refs])


def _row(kind: str, actor: str, subject: str, body: Mapping[str, object], at: str) -> dict[str, Any]:
    return {
        "at": at,
        "kind": kind,
        "actor": actor,
        "subject": subject,
        "body": _text(body),
        "payload": None,
    }


def _text(body: Mapping[str, object]) -> str:
    try:
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:  # a whole number beyond 64 bits, a key that is no text
        return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
