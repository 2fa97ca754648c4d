"""Looking through the archive for words and values: by the index where there is one, else by a query of the archive.

Either way the records are read from the archive by a query with a purpose and a receipt, so restricted accounts stay
out and what was destroyed is not shown.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from console.access.accounts import Account
from console.parts import Parts
from console.reading.records import as_rows, quoted
from errors import LiucunError, UsageError
from retention.query.run import Limits, run_query
from retention.search.asking import Hits, Question, answerable, ask
from retention.search.cluster import Cluster
from retention.search.lag import unindexed

_COLUMNS: Final = (
    "event_time, event_action, user_id, source_ip, order_id, item_id, content_id, content_type, text, "
    "log_source, log_partition, log_offset"
)
SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Found:
    """Records, newest first; ``total`` the index's count (None: the archive was asked, and ``more`` may be there).

    ``by_index``: what found them. ``behind``: seconds that the index is behind the archive. ``failed``: why the index,
    which is set up, was not asked in the end.
    """

    records: tuple[dict[str, Any], ...]
    seconds: float
    segments: int
    query_id: str
    by_index: bool
    total: int | None = None
    exact: bool = True
    more: bool = False
    behind: float = 0.0
    failed: LiucunError | None = None


def search(parts: Parts, question: Question, account: Account, purpose: str) -> Found:
    """Find records and read them.

    Raises:
        LiucunError: see ``retention.query.run.run_query``; not the index's errors, the archive answers then.
    """
    if not purpose.strip():
        raise UsageError("A search needs a purpose.", cure="Say what the records are looked for; it goes on record.")
    failed: LiucunError | None = None
    if answerable(parts.search, question):
        try:
            hits, behind = _hits(parts, question)
        except LiucunError as error:
            failed = error
        else:
            return _by_index(parts, question, hits, behind, account, purpose)
    sql = f"SELECT {_COLUMNS} FROM {question.record_class.view} WHERE {_conditions(question)} "  # noqa: S608
    answer, rows = _run(
        parts, f"{sql} ORDER BY event_time DESC NULLS LAST LIMIT {question.limit + 1}", account, purpose
    )
    more = len(rows) > question.limit
    return Found(
        rows[: question.limit], answer.seconds, answer.segments_read, answer.query_id, False, more=more, failed=failed
    )


def _hits(parts: Parts, question: Question) -> tuple[Hits, float]:
    cluster = Cluster(parts.search, patience=0.0)
    try:
        hits = ask(cluster, parts, parts.search, question)
    finally:
        cluster.close()
    with parts.catalogue.read() as connection:
        return hits, unindexed(connection, parts.search).seconds(datetime.now(UTC))


def _by_index(parts: Parts, question: Question, hits: Hits, behind: float, account: Account, purpose: str) -> Found:
    # Also without a hit: that somebody looked for it is on record.
    sql = f"SELECT {_COLUMNS} FROM {question.record_class.view} WHERE {_at(hits.places)}"  # noqa: S608
    answer, rows = _run(parts, f"{sql} ORDER BY event_time DESC NULLS LAST", account, purpose)
    return Found(
        rows,
        answer.seconds,
        answer.segments_read,
        answer.query_id,
        True,
        total=hits.total,
        exact=hits.exact,
        behind=behind,
    )


def _run(parts: Parts, sql: str, account: Account, purpose: str) -> tuple[Any, tuple[dict[str, Any], ...]]:
    answer = run_query(
        parts, sql, purpose=purpose, actor=account.actor, render=as_rows, limits=Limits(seconds=SECONDS), basis=None
    )
    rows = tuple({k: v for k, v in row.items() if v is not None} for row in json.loads(answer.data))
    return answer, rows


def _conditions(question: Question) -> str:
    """The question in SQL: words by their characters, values exactly, days of Asia/Shanghai."""
    parts = [f"contains(text, {quoted(word)})" for word in question.words.split()]
    parts += [f"{column} = {quoted(value)}" for column, value in question.values.items()]
    if question.first:
        parts.append(f"event_time >= TIMESTAMPTZ '{question.first.isoformat()} 00:00:00+08'")
    if question.last:
        parts.append(f"event_time < TIMESTAMPTZ '{(question.last + timedelta(days=1)).isoformat()} 00:00:00+08'")
    return " AND ".join(parts)


def _at(places: Sequence[tuple[str, str, int]]) -> str:
    offsets: dict[tuple[str, str], list[int]] = defaultdict(list)
    for source, partition, offset in places:
        offsets[source, partition].append(int(offset))
    found = [
        f"(log_source = {quoted(source)} AND log_partition = {quoted(partition)} "
        f"AND log_offset IN ({', '.join(map(str, numbers))}))"
        for (source, partition), numbers in offsets.items()
    ]
    return " OR ".join(found) or "false"
