"""Calendar periods in Asia/Shanghai: leap days, month ends, and the order of periods."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.policies.periods import (
    LAST_DAY,
    CalendarPeriod,
    last_day_of,
    may_go_on,
    shanghai_date,
    start_of,
    stored_date,
)

YEAR = CalendarPeriod(years=1)
DAYS = st.dates(date(1999, 1, 1), date(2400, 12, 31))


@pytest.mark.parametrize(
    ("start", "period", "ends"),
    [
        ("2024-02-29", "P1Y", "2025-02-28"),
        ("2024-02-29", "P4Y", "2028-02-29"),
        ("2024-02-28", "P1Y", "2025-02-28"),
        ("2023-02-28", "P1Y", "2024-02-28"),
        ("2024-03-01", "P1Y", "2025-03-01"),
        ("2023-12-31", "P3Y", "2026-12-31"),
        ("2024-08-31", "P6M", "2025-02-28"),
        ("2023-08-31", "P6M", "2024-02-29"),
        ("2024-12-31", "P2M", "2025-02-28"),
        ("2024-12-31", "P60D", "2025-03-01"),
        ("2099-03-01", "P1Y", "2100-03-01"),
        ("2096-02-29", "P4Y", "2100-02-28"),
        ("2024-01-31", "P1M1D", "2024-03-01"),
    ],
)
def test_worked_examples(start: str, period: str, ends: str) -> None:
    assert CalendarPeriod.parse(period).ends(date.fromisoformat(start)) == date.fromisoformat(ends)


def test_what_a_year_from_a_leap_day_protects_may_go_on_the_first_of_march() -> None:
    assert may_go_on(date(2024, 2, 29), YEAR) == date(2025, 3, 1)


@given(DAYS)
def test_a_year_ends_on_the_same_number_or_the_last_day(day: date) -> None:
    ends = YEAR.ends(day)
    assert ends.year == day.year + 1
    assert ends.month == day.month
    assert ends.day == day.day or (day.month, day.day, ends.day) == (2, 29, 28)


@given(DAYS, DAYS, st.builds(CalendarPeriod, st.integers(0, 30), st.integers(0, 40), st.integers(0, 400)))
def test_later_starts_never_end_earlier(one: date, other: date, period: CalendarPeriod) -> None:
    first, second = sorted((one, other))
    assert period.ends(first) <= period.ends(second)


def test_the_order_of_periods() -> None:
    shorter = [("P365D", "P1Y"), ("P180D", "P6M"), ("P11M", "P1Y"), ("P1095D", "P3Y"), ("P2Y", "P3Y"), ("P60D", "P2M")]
    for one, other in shorter:
        assert CalendarPeriod.parse(one).shorter_than(CalendarPeriod.parse(other)), one
    enough = [("P366D", "P1Y"), ("P12M", "P1Y"), ("P1Y", "P12M"), ("P36M", "P3Y"), ("P62D", "P2M"), ("P1Y1D", "P1Y")]
    for one, other in enough:
        assert not CalendarPeriod.parse(one).shorter_than(CalendarPeriod.parse(other)), one
    # Across 2100 four years hold no leap day, elsewhere one.
    assert CalendarPeriod.parse("P1460D").shorter_than(CalendarPeriod.parse("P4Y"))
    assert not CalendarPeriod.parse("P1461D").shorter_than(CalendarPeriod.parse("P4Y"))


@pytest.mark.parametrize("text", ["", "P", "1Y", "P1", "PY", "P-1Y", "P1W", "PT1H", "P1Y ", "P99999Y", "p1y"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="calendar period"):
        CalendarPeriod.parse(text)


@given(st.builds(CalendarPeriod, st.integers(0, 999), st.integers(0, 9999), st.integers(0, 99999)))
def test_a_period_reads_back(period: CalendarPeriod) -> None:
    assert CalendarPeriod.parse(str(period)) == period


def test_the_end_of_the_calendar_is_never() -> None:
    assert CalendarPeriod(years=999).ends(date(9500, 1, 1)) == LAST_DAY
    assert may_go_on(date(9999, 6, 1), YEAR) == LAST_DAY


def test_days_are_those_of_shanghai() -> None:
    assert shanghai_date(datetime(2025, 12, 31, 16, 0, tzinfo=UTC)) == date(2026, 1, 1)
    assert shanghai_date(datetime(2025, 12, 31, 15, 59, 59, tzinfo=UTC)) == date(2025, 12, 31)
    assert stored_date("2024-02-28T16:00:00.000000Z") == date(2024, 2, 29)
    assert start_of(date(2026, 1, 1)) == datetime(2025, 12, 31, 16, tzinfo=UTC)
    # Summer time of 1986 to 1991 in China.
    assert start_of(date(1988, 7, 1)) == datetime(1988, 6, 30, 15, tzinfo=UTC)
    assert last_day_of("2024-02") == date(2024, 2, 29)
    assert last_day_of("2023-12") + timedelta(days=1) == date(2024, 1, 1)
