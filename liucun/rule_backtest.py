"""Backtests over the sealed archive: public texts of a span, read by recorded queries, in parts that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import pyarrow as pa

from console.reading.rules import BACKTESTED
from detectors.keywords.backtest import Backtest
from errors import UsageError
from liucun.settings import Settings
from liucun.store import OpenStore
from retention.catalogue import events
from retention.catalogue.tables import timestamp
from retention.query.errors import QueryTooLargeError
from retention.query.run import Limits, Rendered, run_query
from retention.schema import RECORD_SCHEMA, RecordClass

PART_BYTES: Final = 256 << 20
"""Bytes of text read at once; a longer span is read in halves, and these in halves again."""
SMALLEST: Final = timedelta(seconds=1)
RECORDED_RULES: Final = 50
"""Of the rules that found anything, those with the most that is new are recorded one by one."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which texts: event times [since, until) of a class, one field, of some sources.

    ``sources`` are the only ones read, None for every one but ``hidden``.
    """

    record_class: RecordClass
    field: str
    since: datetime
    until: datetime
    sources: tuple[str, ...] | None
    hidden: tuple[str, ...] = ()


def public_sources(
    settings: Settings, record_class: RecordClass, field: str, *, published: bool
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The sources whose ``field`` is public (None for all but the second part), and those declared not to be.

    Only text published to the public may be scanned (电信条例 art. 65 protects the rest).

    Raises:
        UsageError: nobody has declared the text of any source public.
    """
    ours = [source for source in settings.source if source.record_class == record_class.value]
    hidden = tuple(source.name for source in ours if source.published.get(field) is False)
    if published:
        return None, hidden
    public = tuple(source.name for source in ours if source.published.get(field))
    if not public:
        raise UsageError(
            f"No source of class {record_class.value} is declared to publish `{field}`.",
            cure="Declare it in liucun.toml (published = { text = true }), or say with --published that it is public.",
        )
    return public, hidden


def run_backtest(
    opened: OpenStore,
    test: Backtest,
    span: Span,
    *,
    purpose: str,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Run a backtest over a span; returns the ids of the queries by which it was recorded.

    Raises:
        QueryRefusedError: there is no purpose.
        LiucunError: as of ``run_query``.
    """
    queries: list[str] = []
    waiting = [(span.since, span.until)]
    while waiting:
        since, until = waiting.pop()
        try:
            answer = run_query(
                opened,
                statement(span, since, until, test.candidate.version),
                purpose=purpose,
                actor=opened.actor,
                render=lambda table: _scan(test, table),
                limits=Limits(result_bytes=PART_BYTES),
            )
        except QueryTooLargeError:
            if until - since <= SMALLEST:
                raise
            middle = since + (until - since) / 2
            waiting += [(middle, until), (since, middle)]
            continue
        queries.append(answer.query_id)
        if progress:
            progress(test.totals.texts)
    return queries


def record(opened: OpenStore, test: Backtest, span: Span, queries: Sequence[str]) -> None:
    """Append what a backtest found, in counts alone: the console shows it beside the rules."""
    found = test.rules()
    body = {
        "since": timestamp(span.since),
        "until": timestamp(span.until),
        "class": span.record_class.value,
        "field": span.field,
        "candidate_version": test.candidate.version,
        "today_version": test.today.version,
        "found": test.totals.as_json(),
        "rules": [
            {"rule": one.rule.id, "candidate": one.candidate, "today": one.today, "new": one.new}
            for one in found[:RECORDED_RULES]
        ],
        "further_rules": max(len(found) - RECORDED_RULES, 0),
        "queries": len(queries),
    }
    with opened.catalogue.write() as connection:
        events.append(connection, kind=BACKTESTED, actor=opened.actor, subject="rules", body=body)


def statement(span: Span, since: datetime, until: datetime, version: str) -> str:
    """The SQL of one part. The version stands in it so that the recorded words say what was tried."""
    column = _column(span.field)
    where = [
        f"event_time >= TIMESTAMPTZ {_text(since.isoformat())}",
        f"event_time < TIMESTAMPTZ {_text(until.isoformat())}",
        f"{column} IS NOT NULL",
    ]
    if span.sources is not None:
        where.append(f"log_source IN ({', '.join(map(_text, span.sources))})")
    if span.hidden:
        where.append(f"log_source NOT IN ({', '.join(map(_text, span.hidden))})")
    view = span.record_class.view
    return f"SELECT {column} AS found FROM {view} WHERE {' AND '.join(where)} -- rules backtest {version}"  # noqa: S608


def _column(field: str) -> str:
    if field in RECORD_SCHEMA.names:
        if RECORD_SCHEMA.field(field).type != pa.string():
            raise UsageError(f"The field {field!r} holds no text.", cure="Name a column of text, e.g. --field text.")
        return f'"{field}"'
    return f"element_at(extra, {_text(field)})[1]"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _scan(test: Backtest, table: pa.Table) -> Rendered:
    counts: dict[str, Any] = {}
    for chunk in table.column("found").chunks:
        for name, count in test.add(chunk.cast(pa.string())).items():
            counts[name] = counts.get(name, 0) + count
    return Rendered(orjson.dumps(counts), "json")
