"""A ticket's record in the archive and what its account did around it: a query, recorded with its purpose."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from console.access.accounts import Account
from console.parts import Parts
from retention.query.run import Limits, Rendered, run_query
from retention.schema import RecordClass
from tickets.queue import Ticket

AROUND: Final = 20
_COLUMNS: Final = (
    "event_time, event_action, user_id, source_ip, source_port, order_id, item_id, content_id, text, log_offset"
)


@dataclass(frozen=True, slots=True)
class Context:
    """Records, each as (column, value) of what it has; the first is the ticket's own."""

    records: tuple[dict[str, Any], ...]
    seconds: float
    segments: int


def record_context(parts: Parts, ticket: Ticket, account: Account, purpose: str) -> Context:
    """The record of a ticket and up to twenty of the same account within a day of it.

    Raises:
        LiucunError: see ``retention.query.run.run_query``.
    """
    view = RecordClass(ticket.record_class).view
    here = f"log_source = {quoted(ticket.source)} AND log_partition = {quoted(ticket.partition)}"
    sql = (
        f"WITH own AS (SELECT {_COLUMNS} FROM {view} WHERE {here} AND log_offset = {int(ticket.offset)}), "  # noqa: S608
        f"near AS (SELECT {_COLUMNS} FROM {view} WHERE user_id = (SELECT any_value(user_id) FROM own) "
        f"AND event_time BETWEEN TIMESTAMPTZ {quoted(ticket.event_time)} - INTERVAL 1 DAY "
        f"AND TIMESTAMPTZ {quoted(ticket.event_time)} + INTERVAL 1 DAY AND log_offset <> {int(ticket.offset)} "
        f"ORDER BY event_time LIMIT {AROUND}) "
        "SELECT 0 AS rank, * FROM own UNION ALL SELECT 1, * FROM near ORDER BY rank, event_time"
    )
    answer = run_query(
        parts, sql, purpose=purpose, actor=account.actor, render=as_rows, limits=Limits(seconds=20.0), basis=None
    )
    rows = json.loads(answer.data)
    kept = tuple({k: v for k, v in row.items() if v is not None and k != "rank"} for row in rows)
    return Context(kept, answer.seconds, answer.segments_read)


def quoted(text: str) -> str:
    """A word of SQL that holds a text."""
    return "'" + text.replace("'", "''") + "'"


def as_rows(table: pa.Table) -> Rendered:
    """A result as JSON: a list of objects, times and numbers in words where JSON has no kind of its own for them."""
    return Rendered(json.dumps(table.to_pylist(), default=str, ensure_ascii=False).encode("utf-8", "replace"), "json")
