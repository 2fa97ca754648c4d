"""The actors' trail: every change of state appends an event in the transaction that makes it.

When the transaction ends, ``finish`` gives each subject's last event the images of the subject's rows
and queues every event for the transparency log. ``Catalogue.write`` calls it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import orjson
import sqlalchemy as sa

from retention.catalogue import images, sets
from retention.catalogue.tables import events, log_pending, timestamp

_OPEN: Final = "liucun_events"
"""Where a connection keeps the (id, subject) of the events of its open transaction."""
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


def append(
    connection: sa.Connection,
    *,
    kind: str,
    actor: str,
    subject: str,
    body: Mapping[str, object],
    at: datetime | None = None,
) -> int:
    """Append one event and return its number. ``body`` must hold no personal data and no content."""
    result = connection.execute(events.insert().values(**_row(kind, actor, subject, body, timestamp(at))))
    assert result.inserted_primary_key is not None
    number = int(result.inserted_primary_key[0])
    _opened(connection).append((number, subject))
    return number


def append_many(
    connection: sa.Connection,
    rows: Sequence[tuple[str, Mapping[str, object]]],
    *,
    kind: str,
    actor: str,
    at: datetime | None = None,
) -> None:
    """Append one event for each (subject, body) in one statement."""
    if not rows:
        return
    moment = timestamp(at)
    written = [_row(kind, actor, subject, body, moment) for subject, body in rows]
    numbers = sets.insert_numbered(connection, events, written, "id")
    _opened(connection).extend((number, subject) for number, (subject, _) in zip(numbers, rows, strict=True))


def begin(connection: sa.Connection) -> None:
    """Forget what an earlier transaction of the same pooled connection left."""
    connection.info.pop(_OPEN, None)


def finish(connection: sa.Connection) -> None:
    """Complete the events of the transaction that is about to end."""
    opened: list[tuple[int, str]] = connection.info.pop(_OPEN, [])
    if not opened:
        return
    last = {subject: number for number, subject in opened}
    found = images.images(connection, last)
    payloads = [
        {"id": last[subject], "payload": orjson.dumps(image, option=orjson.OPT_SORT_KEYS)}
        for subject, image in found.items()
    ]
    sets.update_rows(connection, events, "id", payloads)
    queue(connection, EVENT, [str(number) for number, _ in opened])


def queue(connection: sa.Connection, kind: str, refs: Sequence[str]) -> None:
    """Let the log number these segments or events after the transaction."""
    sets.insert_rows(connection, log_pending, [{"type": kind, "ref": ref} for ref in refs])


def _opened(connection: sa.Connection) -> list[tuple[int, str]]:
    opened: list[tuple[int, str]] = connection.info.setdefault(_OPEN, [])
    return opened


def _row(kind: str, actor: str, subject: str, body: Mapping[str, object], at: str) -> dict[str, str]:
    return {
        "at": at,
        "kind": kind,
        "actor": actor,
        "subject": subject,
        "body": _text(body),
    }


def _text(body: Mapping[str, object]) -> str:
    try:
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:  # a whole number beyond 64 bits, a key that is no text
        return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
