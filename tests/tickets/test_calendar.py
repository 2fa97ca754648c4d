"""The calendar against the worked examples of the law and two other libraries; files that lie are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import chinese_calendar
import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import SettingsError, UsageError
from tickets.calendar.reading import SHIPPED, read_calendar, shipped_calendar
from tickets.clocks import (
    ANNUAL_REPORT,
    ASSESSMENT,
    INCIDENT,
    RENEWAL,
    SHANGHAI,
    TEN_WORKING_DAYS,
    Clock,
    ClockKind,
    add_months,
    deadline,
)

CALENDAR = shipped_calendar()
FIRST, LAST = date(2012, 1, 1), date(2026, 12, 31)

EXAMPLES = {
    "2024-02-08": "2024-02-28",
    "2024-09-30": "2024-10-18",
    "2025-01-24": "2025-02-13",
    "2025-01-25": "2025-02-13",
    "2025-09-28": "2025-10-17",
    "2025-12-31": "2026-01-15",
    "2026-02-12": "2026-03-04",
    "2026-10-08": "2026-10-21",
    "2026-11-23": "2026-12-07",
    "2026-12-17": "2026-12-31",
}


@pytest.mark.parametrize(("disposed", "due"), EXAMPLES.items())
def test_worked_examples(disposed: str, due: str) -> None:
    counted = CALENDAR.count(date.fromisoformat(disposed), 10)
    assert (counted.due.isoformat(), len(counted.days), counted.provisional) == (due, 10, False)


def test_every_day_of_fifteen_years_agrees_with_two_libraries() -> None:
    other = holidays.country_holidays("CN", years=range(2012, 2027))
    day = FIRST
    while day <= LAST:
        ours = CALENDAR.is_working_day(day)
        assert ours == chinese_calendar.is_workday(day), day
        if day.year >= 2024:
            assert ours == other.is_working_day(day), day
        day += timedelta(days=1)


def test_every_start_date_agrees_with_a_second_library() -> None:
    worked = [d for n in range((LAST - FIRST).days + 1) if chinese_calendar.is_workday(d := FIRST + timedelta(days=n))]
    position, start = 0, FIRST
    while start <= date(2026, 12, 17):
        while worked[position] <= start:
            position += 1
        assert CALENDAR.count(start, 10).due == worked[position + 9], start
        start += timedelta(days=1)


def test_the_provisional_date_is_never_late() -> None:
    start = FIRST
    while start <= date(2026, 12, 17):
        true = CALENDAR.count(start, 10).due
        plain = CALENDAR._walk(start, 8, lambda day: day.weekday() < 5)[-1]
        assert plain <= true, start
        start += timedelta(days=1)


@given(st.dates(date(2026, 12, 18), date(2029, 12, 31)), st.integers(1, 60))
def test_past_the_horizon_dates_are_provisional(start: date, days: int) -> None:
    counted = CALENDAR.count(start, days)
    if counted.due > LAST or start > LAST:
        assert counted.provisional
    if counted.provisional:
        assert len(counted.days) == max(days - 2, 1)


def test_before_the_first_year_dates_are_provisional() -> None:
    assert CALENDAR.count(date(2011, 12, 30), 10).provisional


@given(st.datetimes(datetime(2012, 1, 1), datetime(2026, 12, 10)))
def test_days_are_those_of_shanghai(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    found = deadline(TEN_WORKING_DAYS, aware, CALENDAR)
    assert found.days[0] > aware.astimezone(SHANGHAI).date()
    assert found.due == datetime.combine(found.due_on + timedelta(days=1), datetime.min.time(), SHANGHAI)


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(hour=12, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("clock", "start", "due"),
    [
        (ASSESSMENT, "2026-09-02", "2026-10-02"),
        (RENEWAL, "2025-01-21", "2024-10-23"),
        (ANNUAL_REPORT, "2026-02-01", "2026-03-31"),
        (INCIDENT, "2026-02-01", "2026-02-01"),
        (Clock("y", ClockKind.YEARS, 1, "", "", ""), "2024-02-29", "2025-02-28"),
        (Clock("y", ClockKind.YEARS, 3, "", "", ""), "2024-02-29", "2027-02-28"),
        (Clock("m", ClockKind.MONTHS, 6, "", "", ""), "2025-08-31", "2026-02-28"),
    ],
)
def test_other_clocks(clock: Clock, start: str, due: str) -> None:
    assert deadline(clock, at(start), CALENDAR).due_on.isoformat() == due


def test_a_clock_wants_a_zone_and_a_countable_date() -> None:
    with pytest.raises(UsageError, match="zone"):
        deadline(TEN_WORKING_DAYS, datetime(2026, 1, 1), CALENDAR)
    with pytest.raises(UsageError, match="No deadline"):
        deadline(TEN_WORKING_DAYS, datetime(9999, 12, 30, tzinfo=UTC), CALENDAR)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 600))
def test_months_never_overshoot(day: date, months: int) -> None:
    found = add_months(day, months)
    assert (found.year * 12 + found.month) == (day.year * 12 + day.month + months)
    assert found.day <= day.day


YEAR = '[[year]]\nyear = 2027\nnotice = "n"\nholidays = ["2027-01-01/2027-01-03 元旦"]\nmakeup = ["2027-01-09"]\n'
HEAD = 'format = 1\nversion = "t"\n'


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "format"),
        ("format = 2\n", "format"),
        (HEAD, "year"),
        (HEAD + "= 3", "TOML"),
        (HEAD + YEAR + YEAR, "consecutive"),
        (HEAD + YEAR.replace("2027-01-09", "2027-01-08"), "no weekend day"),
        (HEAD + YEAR.replace("2027-01-09", "2027-01-02"), "twice or is a holiday"),
        (HEAD + YEAR.replace("2027-01-09", "2026-01-10"), "another year"),
        (HEAD + YEAR.replace("2027-01-03", "2027-03-01"), "lasts"),
        (HEAD + YEAR.replace("2027-01-03", "2027-13-01"), "no date"),
        (HEAD + YEAR.replace("/", " to "), "FROM/TO"),
        (HEAD + YEAR + "surprise = 1\n", "surprise"),
        (HEAD + "#" * (1 << 20), "1 MiB"),
        (HEAD + "x = " + "[" * 5000, "nested|TOML"),
    ],
)
def test_files_that_lie_are_refused(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "calendar.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=word):
        read_calendar(path)


def test_an_unreadable_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="UTF-8"):
        read_calendar(tmp_path / "c.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_calendar(tmp_path / "none.toml")


def test_the_shipped_file_names_its_notices() -> None:
    assert all(year.notice for year in read_calendar(SHIPPED).years)
