"""What a segment tells about its subjects: one pass over the few columns that matter, one row a subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from retention.catalogue.tables import timestamp
from retention.policies.periods import shanghai_date
from retention.policies.words import EndRule

_DAY: Final = 86_400_000_000
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
    return [
        SubjectNews(
            blind=blind(row["name"]),
            rows=row["anchor_count"],
            first_on=_day(row["anchor_min"]),
            news_on=_day(row["anchor_max"]),
            ended_at=None if row["name"] == unnamed else _text(row["ended_max"]),
            ended_on=None if row["name"] == unnamed or row["ended_max"] is None else _day(row["ended_max"]),
            open_at=_text(row["opened_max"]),
        )
        for row in _rows(grouped)
    ]


def _rows(grouped: pa.Table) -> list[dict[str, Any]]:
    columns = [grouped.column(name).to_pylist() for name in grouped.column_names]
    return [dict(zip(grouped.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def _micros(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.int64())


def _moment(micros: int) -> datetime:
    """What lies before or past the calendar stands at its ends."""
    return _EPOCH + timedelta(microseconds=min(max(micros, _EARLIEST), _LATEST))


def _day(micros: int) -> str:
    return shanghai_date(_moment(micros)).isoformat()


def _text(micros: int | None) -> str | None:
    return None if micros is None else timestamp(_moment(micros))
