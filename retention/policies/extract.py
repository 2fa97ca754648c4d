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
NEVER: Final = pa.scalar(None, pa.int64())
UNNAMED: Final = "\x00unnamed"
"""Stands for the records of a month that name no subject: together they are one that stays open."""
LISTING: Final = "\x00listing:"
"""Begins the name of a listing, before the article's."""


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


def unnamed_subject(record_class: str, period: str) -> str:
    """The name under which a month's records without an order (seller, stream) are judged."""
    return f"{UNNAMED}:{record_class}:{period}"


def columns_of(rule: EndRule) -> list[str]:
    """The columns that ``subject_news`` reads."""
    named = (rule.key, rule.status, "event_time", "event_ingested", *([rule.ended_at] if rule.ended_at else []))
    listed = (rule.listed.key, *rule.listed.status) if rule.listed else ()
    return list(dict.fromkeys((*named, *listed)))


def subject_names(table: pa.Table, rule: EndRule, unnamed: str) -> pa.ChunkedArray:
    """The subject that each record belongs to: its own; of one that names none the listing of its article, if it
    names one; else what its month has in common."""
    named = pc.fill_null(table.column(rule.key).cast(pa.string()), "")
    other: Any = pa.scalar(unnamed)
    if rule.listed is not None:
        article = pc.fill_null(table.column(rule.listed.key).cast(pa.string()), "")
        listing = pc.binary_join_element_wise(pa.scalar(LISTING), article, "")
        other = pc.if_else(pc.equal(article, ""), other, listing)
    return pc.if_else(pc.equal(named, ""), other, named)


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
    ends, runs = (words_in(table.column(rule.status), words) for words in (rule.ending, rule.running))
    ended = pc.if_else(ends, anchor, NEVER)
    if rule.ended_at is not None:
        told = _micros(table.column(rule.ended_at))
        # Both the time that is told and the record's own: the later one counts, so nothing goes early.
        ended = pc.if_else(pc.is_valid(told), pc.max_element_wise(told, anchor), ended)
        runs = pc.and_(runs, pc.is_null(told))
    named = subject_names(table, rule, unnamed)
    opened = pc.if_else(runs, anchor, NEVER)
    grouped = (
        pa.table({"name": named, "anchor": anchor, "ended": ended, "opened": opened})
        .group_by("name", use_threads=False)
        .aggregate([("anchor", "count"), ("anchor", "min"), ("anchor", "max"), ("ended", "max"), ("opened", "max")])
    )
    names = grouped.column("name").to_pylist()
    columns = {
        "rows": grouped.column("anchor_count").to_pylist(),
        "first_on": days_of(grouped.column("anchor_min")),
        "news_on": days_of(grouped.column("anchor_max")),
        "ended_at": texts_of(grouped.column("ended_max")),
        "ended_on": days_of(grouped.column("ended_max")),
        "open_at": texts_of(grouped.column("opened_max")),
    }
    told = [SubjectNews(blind(name), *values) for name, *values in zip(names, *columns.values(), strict=True)]
    for place, name in enumerate(names):
        # Nothing ends what has no name; what ends a listing is told by ``listings``.
        if name == unnamed or name.startswith(LISTING):
            told[place] = replace(told[place], ended_at=None, ended_on=None, open_at=None)
    # In the order of the index: neighbours are written together.
    return sorted(told, key=lambda news: news.blind)


def words_in(column: pa.ChunkedArray, words: frozenset[str]) -> pa.ChunkedArray:
    """Whether each value is one of some words, whatever its case and the blanks around it."""
    said = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), "")))
    return pc.is_in(said, value_set=pa.array(sorted(words), pa.string()))


def _micros(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.int64())


def _within(micros: pa.ChunkedArray) -> pa.ChunkedArray:
    """What lies before or past the calendar stands at its ends."""
    late = pc.min_element_wise(micros, pa.scalar(_LATEST, pa.int64()), skip_nulls=False)
    return pc.max_element_wise(late, pa.scalar(_EARLIEST, pa.int64()), skip_nulls=False)


def days_of(micros: pa.ChunkedArray) -> list[Any]:
    """Calendar days in China; since 1991 its clocks are eight hours ahead all year."""
    shifted = pc.add(_within(micros), _SHANGHAI).cast(pa.timestamp("us"))
    return list(shifted.cast(pa.date32()).cast(pa.string()).to_pylist())


def texts_of(micros: pa.ChunkedArray) -> list[Any]:
    """Moments as the catalogue writes them."""
    text = pc.strftime(_within(micros).cast(pa.timestamp("us")), format="%Y-%m-%dT%H:%M:%S")
    return list(pc.binary_join_element_wise(text, "Z", "").to_pylist())
