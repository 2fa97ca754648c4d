"""The actors' trail: every change of state appends an event in the transaction that makes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from retention.catalogue.tables import events, timestamp


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
    result = connection.execute(events.insert().values(**_row(kind, actor, subject, body, at)))
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def append_many(
    connection: sa.Connection,
    rows: Sequence[tuple[str, Mapping[str, object]]],
    *,
    kind: str,
    actor: str,
    at: datetime | None = None,
) -> None:
    """Append one event for each (subject, body) in one statement."""
    if rows:
        connection.execute(events.insert(), [_row(kind, actor, subject, body, at) for subject, body in rows])


def _row(kind: str, actor: str, subject: str, body: Mapping[str, object], at: datetime | None) -> dict[str, str]:
    return {
        "at": timestamp(at),
        "kind": kind,
        "actor": actor,
        "subject": subject,
        "body": json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
    }
