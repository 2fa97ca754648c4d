"""The coverage calendar against records whose days are known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from console.charts import bars, year_picture
from console.reading.overview import Found, days_left
from retention.audits.days import SHOWN, Coverage, count_days, coverage, uncounted
from tests.retention.sealed_store import hours, make_store
from tickets.calendar.reading import shipped_calendar
from tickets.calendar.working_days import WorkingCalendar


def test_days_left_are_working_days() -> None:
    calendar: WorkingCalendar = shipped_calendar()
    assert days_left(calendar, date(2026, 11, 23), date(2026, 11, 23)) == 0
    assert days_left(calendar, date(2026, 11, 23), date(2026, 12, 7)) == 10
    assert days_left(calendar, date(2026, 11, 24), date(2026, 11, 23)) == -1
    assert days_left(calendar, date(2026, 9, 30), date(2026, 10, 8)) == 1
    assert days_left(calendar, date(2026, 11, 22), date(2026, 11, 21)) == -1, "overdue over a weekend is overdue"


def test_gaps_are_days_without_records_after_the_first() -> None:
    first = date(2026, 1, 1)
    found = Coverage("content", first, (0, 0, 5, 0, 7, 0))
    assert found.gaps == [date(2026, 1, 4)], "neither before the first record nor today"
    assert found.months() == [("2026-01", 2, 1, 12)]
    assert Coverage("content", first, (0, 0)).gaps == []


def test_the_picture_has_a_cell_a_day() -> None:
    first = date(2025, 10, 21)
    picture = year_picture(Coverage("content", first, tuple(range(SHOWN))))
    assert len(picture.cells) == SHOWN
    assert len({(cell.x, cell.y) for cell in picture.cells}) == SHOWN
    assert max(cell.x for cell in picture.cells) < picture.width
    assert {cell.shade for cell in picture.cells} >= {"c1", "c2", "c3", "c4"}


@pytest.mark.parametrize("count", [0, 1, 7, 10**7])
def test_bars_stay_in_their_picture(count: int) -> None:
    days = tuple(date(2026, 11, 1) + timedelta(days=n) for n in range(30))
    names = [f"c{n}" for n in range(9)]
    picture = bars(Found(days, {name: tuple([count] * 30) for name in names}))
    assert all(b.x >= 0 and b.x + b.width <= picture.width for b in picture.blocks)
    assert all(b.y >= 0 and b.y + b.height <= picture.height for b in picture.blocks)
    assert len(picture.blocks) == (270 if count else 0)


def test_each_day_is_counted_once_in_shanghai_s_days(tmp_path) -> None:
    from console.migrate import prepare_tables

    store = make_store(tmp_path)
    prepare_tables(store.catalogue)
    # 2026-03-01 00:00 UTC is 08:00 in Shanghai: 16 hours are left of that day.
    store.add(hours(48))
    store.add(hours(5), record_class="content")
    store.add([{"raw": b"no time of its own"}], record_class="unparsed")
    with store.catalogue.read() as connection:
        assert uncounted(connection) == 3
    assert count_days(store, most=2) == 2
    assert count_days(store) == 1
    assert count_days(store) == 0
    with store.catalogue.read() as connection:
        assert uncounted(connection) == 0
        found = {one.record_class: one for one in coverage(connection, now=datetime(2026, 3, 5, tzinfo=UTC))}
    logs = found["user_log"]
    counted = {logs.first + timedelta(days=n): rows for n, rows in enumerate(logs.rows) if rows}
    assert counted == {date(2026, 3, 1): 16, date(2026, 3, 2): 24, date(2026, 3, 3): 8}
    assert logs.gaps == [date(2026, 3, 4)]
    assert found["content"].total == 5
    assert found["unparsed"].total == 1
    store.catalogue.close()
    store.period_keys.close()
