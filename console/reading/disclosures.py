"""What became of a disclosure, from the trail."""

from __future__ import annotations

import json
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.tables import events

SHOWN: Final = 500


def history(connection: sa.Connection, disclosure_id: str) -> list[dict[str, Any]]:
    """Its events, newest first; each the event's own fields beside ``at``, ``kind`` and ``actor``, none sealed."""
    e = events.c
    rows = connection.execute(
        sa.select(e.at, e.kind, e.actor, e.body)
        .where(e.subject == f"disclosure:{disclosure_id}")
        .order_by(e.id.desc())
        .limit(SHOWN)
    )
    return [
        {**{k: v for k, v in json.loads(row.body).items() if k != "reason" and "sealed" not in k},
         "at": row.at, "kind": row.kind, "actor": row.actor}
        for row in rows
    ]  # fmt: skip
