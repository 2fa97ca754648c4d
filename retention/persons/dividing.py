"""A person's records of one class in portions: calendar months, halves of a month's time, and halves of one instant.

Portions are disjoint and together hold every record that was there when they were counted, those without a time too.
In the order given they are in the order of ``ORDER``. A portion's bounds are the first and last of its own records, so
that halving comes quickly to where the records are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from retention.persons.asking import quoted

UNDATED: Final = "undated"
"""Stands for the month of records without a time."""
WHOLE: Final = ""
"""Stands for the month of all records."""
ORDER: Final = "event_time, log_source, log_partition, log_offset"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Ask = Callable[[str], list[dict[str, Any]]]
Place = tuple[str, str]
"""A source and a partition of it."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Some of a person's records of one class. All bounds are included.

    ``month``: of Asia/Shanghai as ``2026-03``, ``UNDATED`` or ``WHOLE``, whose other bounds say nothing.
    ``records``: how many there were when it was counted. ``times``: microseconds since 1970 (UTC); None: records
    without a time.
    """

    view: str
    account: str
    month: str
    records: int
    times: tuple[int, int] | None
    places: tuple[Place, Place] | None = None
    offsets: tuple[int, int] | None = None

    @property
    def where(self) -> str:
        """The condition of SQL that these records alone meet."""
        conditions = [_of_account(self.account)]
        if self.month == WHOLE:
            return conditions[0]
        if self.times is None:
            conditions.append("event_time IS NULL")
        else:
            first, last = map(_literal, self.times)
            conditions.append(f"event_time BETWEEN {first} AND {last}")
        if self.places is not None:
            # Spelled out, as DuckDB knows no range of tuples.
            (source, partition), (last_source, last_partition) = self.places
            conditions += [_beyond(">", source, partition), _beyond("<", last_source, last_partition)]
        if self.offsets is not None:
            conditions.append(f"log_offset BETWEEN {self.offsets[0]} AND {self.offsets[1]}")
        return " AND ".join(conditions)


def by_month(ask: Ask, view: str, account: str) -> list[Portion]:
    """The months in which a view has records of an account, in order, and last those without a time."""
    rows = ask(
        "SELECT strftime(event_time, '%Y-%m') AS month, count(*) AS records, "  # noqa: S608  # view names are ours
        "epoch_us(min(event_time)) AS first, epoch_us(max(event_time)) AS last "
        f"FROM {view} WHERE {_of_account(account)} GROUP BY 1 ORDER BY min(event_time) NULLS LAST"
    )
    return [
        Portion(view, account, row["month"] or UNDATED, row["records"], None if row["month"] is None else _bounds(row))
        for row in rows
    ]


def together(portions: Sequence[Portion]) -> Portion:
    """All records of an account in a view, one at least."""
    return replace(portions[0], month=WHOLE, records=count_of(portions))


def count_of(portions: Sequence[Portion]) -> int:
    """How many records there are in portions."""
    return sum(portion.records for portion in portions)


def halves(ask: Ask, portion: Portion) -> list[Portion] | None:
    """A portion in two, by time, and where there is but one instant or none by the records' places.

    Records that were destroyed since it was counted are in neither: there may be one half, or none.
    None: it cannot be divided, as it is the record of one place.
    """
    if portion.times is not None and portion.times[0] < portion.times[1]:
        middle = sum(portion.times) // 2
        rows = _in_two(ask, portion, f"event_time > {_literal(middle)}", "epoch_us({}(event_time))")
        return [replace(portion, records=row["records"], times=_bounds(row)) for row in rows]
    places = ask(
        "SELECT log_source, log_partition, count(*) AS records, min(log_offset) AS first, max(log_offset) AS last "  # noqa: S608
        f"FROM {portion.view} WHERE {portion.where} GROUP BY 1, 2 ORDER BY 1, 2"
    )
    if len(places) > 1:
        at = _middle([row["records"] for row in places])
        return [_of_places(portion, places[:at]), _of_places(portion, places[at:])]
    if not places:
        return []
    first, last = _bounds(places[0])
    if first == last:
        return None
    rows = _in_two(ask, portion, f"log_offset > {(first + last) // 2}", "{}(log_offset)")
    return [replace(portion, records=row["records"], offsets=_bounds(row)) for row in rows]


def moment(micros: int) -> str:
    """A time as the words of a query show it; the archive's lie within the years 1 to 9999 (UTC)."""
    return (_EPOCH + timedelta(microseconds=micros)).isoformat()


def _in_two(ask: Ask, portion: Portion, later: str, bound: str) -> list[dict[str, Any]]:
    """Counts and bounds of the two sides of a condition."""
    return ask(
        f"SELECT {later} AS later, count(*) AS records, "  # noqa: S608  # view names are ours
        f"{bound.format('min')} AS first, {bound.format('max')} AS last "
        f"FROM {portion.view} WHERE {portion.where} GROUP BY 1 ORDER BY 1"
    )


def _of_places(portion: Portion, rows: Sequence[dict[str, Any]]) -> Portion:
    first, last = ((row["log_source"], row["log_partition"]) for row in (rows[0], rows[-1]))
    return replace(portion, records=sum(row["records"] for row in rows), places=(first, last))


def _middle(counts: Sequence[int]) -> int:
    """Where two or more counts are cut so that both sides have some, about as many each."""
    whole = sum(counts)
    before = itertools.accumulate(counts[:-1])
    return 1 + min(enumerate(before), key=lambda item: abs(2 * item[1] - whole))[0]


def _bounds(row: dict[str, Any]) -> tuple[int, int]:
    return row["first"], row["last"]


def _beyond(sign: str, source: str, partition: str) -> str:
    source, partition = quoted(source), quoted(partition)
    return f"(log_source {sign} {source} OR (log_source = {source} AND log_partition {sign}= {partition}))"


def _literal(micros: int) -> str:
    return f"TIMESTAMPTZ '{moment(micros)}'"


def _of_account(account: str) -> str:
    return f"user_id = {quoted(account)}"
