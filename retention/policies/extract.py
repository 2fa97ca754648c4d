"""What a segment tells about its subjects: one pass over the few columns that matter, one row a subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from retention.policies.words import EndRule

_DAY: Final = 86_400_000_000
_SHANGHAI: Final = _DAY // 3
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = (datetime(2000, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LATEST: Final = (datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_NEVER: Final = pa.scalar(None, pa.int64())
UNNAMED: Final = "\x00unnamed"
"""Stands for the records of a month that name no subject: together they are one that stays open."""


@dataclass(frozen=True, slots=True)
class SubjectNews:
    """What one segment tells of one subject. Times as the catalogue writes them, days in China."""

    blind: bytes
    rows: int
    first_on: str
    news_on: str
    ended_at: str | None
    ended_on: str | None
    open_at: str | None


def columns_of(rule: EndRule) -> list[str]:
    """The columns that ``subject_news`` reads."""
    named = (rule.key, rule.status, "event_time", "event_ingested", *([rule.ended_at] if rule.ended_at else []))
    return list(dict.fromkeys(named))


def retention_anchor(table: pa.Table) -> pa.ChunkedArray:
    """The moment a record's own period counts from, in µs since 1970: its event time if plausible, else its ingest."""
    times, ingested = _micros(table.column("event_time")), _micros(table.column("event_ingested"))
    plausible = pc.and_(pc.greater_equal(times, _EARLIEST), pc.less_equal(times, pc.add(ingested, _DAY)))
    return pc.if_else(pc.fill_null(plausible, fill_value=False), times, ingested)


def subject_news(table: pa.Table, rule: EndRule, blind: Callable[[str], bytes], *, unnamed: str) -> list[SubjectNews]:
    """One entry a subject.

    Args:
        table: the columns of ``columns_of``.
        blind: keyed hash of a subject's name, 16 bytes.
        unnamed: name under which rows without a subject are kept together.
    """
    if not table.num_rows:
        return []
    anchor = retention_anchor(table)
    word = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(table.column(rule.status).cast(pa.string()), "")))
    ends = pc.is_in(word, value_set=pa.array(sorted(rule.ending), pa.string()))
    runs = pc.is_in(word, value_set=pa.array(sorted(rule.running), pa.string()))
    ended = pc.if_else(ends, anchor, _NEVER)
    if rule.ended_at is not None:
        told = _micros(table.column(rule.ended_at))
        # Both the time that is told and the record's own: the later one counts, so nothing goes early.
        ended = pc.if_else(pc.is_valid(told), pc.max_element_wise(told, anchor), ended)
        runs = pc.and_(runs, pc.is_null(told))
    named = pc.fill_null(table.column(rule.key).cast(pa.string()), "")
    named = pc.if_else(pc.equal(named, ""), pa.scalar(unnamed), named)
    opened = pc.if_else(runs, anchor, _NEVER)
    grouped = (
        pa.table({"name": named, "anchor": anchor, "ended": ended, "opened": opened})
        .group_by("name", use_threads=False)
        .aggregate([("anchor", "count"), ("anchor", "min"), ("anchor", "max"), ("ended", "max"), ("opened", "max")])
    )
    names = grouped.column("name").to_pylist()
    columns = {
        "rows": grouped.column("anchor_count").to_pylist(),
        "first_on": _days(grouped.column("anchor_min")),
        "news_on": _days(grouped.column("anchor_max")),
        "ended_at": _texts(grouped.column("ended_max")),
        "ended_on": _days(grouped.column("ended_max")),
        "open_at": _texts(grouped.column("opened_max")),
    }
    told = [SubjectNews(blind(name), *values) for name, *values in zip(names, *columns.values(), strict=True)]
    if unnamed in names:
        # Nothing ends what has no name.
        place = names.index(unnamed)
        told[place] = replace(told[place], ended_at=None, ended_on=None)
    # In the order of the index: neighbours are written together.
    return sorted(told, key=lambda news: news.blind)


def _micros(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.int64())


def _within(micros: pa.ChunkedArray) -> pa.ChunkedArray:
    """What lies before or past the calendar stands at its ends."""
    late = pc.min_element_wise(micros, pa.scalar(_LATEST, pa.int64()), skip_nulls=False)
    return pc.max_element_wise(late, pa.scalar(_EARLIEST, pa.int64()), skip_nulls=False)


def _days(micros: pa.ChunkedArray) -> list[Any]:
    """Calendar days in China; since 1991 its clocks are eight hours ahead all year."""
    shifted = pc.add(_within(micros), _SHANGHAI).cast(pa.timestamp("us"))
    return list(shifted.cast(pa.date32()).cast(pa.string()).to_pylist())


def _texts(micros: pa.ChunkedArray) -> list[Any]:
    """Moments as the catalogue writes them."""
    text = pc.strftime(_within(micros).cast(pa.timestamp("us")), format="%Y-%m-%dT%H:%M:%S")
    return list(pc.binary_join_element_wise(text, "Z", "").to_pylist())
