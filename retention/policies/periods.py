"""Calendar periods in Asia/Shanghai dates, counted as the law counts them.

民法典 art. 201-203: the day that starts a period does not count; a period of years or months ends with the day of
the same number, or with the month's last day where there is none. So one year from 2024-02-29 ends with 2025-02-28,
and what it protects may go on 2025-03-01. 365 days is shorter than a year across 29 February.
"""

from __future__ import annotations

import calendar
import functools
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
LAST_DAY: Final = date.max
"""Stands for "never" where a day is asked for."""

_FORM: Final = re.compile(r"P(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?")


@dataclass(frozen=True, slots=True)
class CalendarPeriod:
    """A length of time by the calendar, as ISO 8601 writes it (``P1Y``, ``P6M``, ``P60D``)."""

    years: int = 0
    months: int = 0
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> CalendarPeriod:
        """Read ``P3Y``, ``P6M``, ``P1Y2M10D``.

        Raises:
            ValueError: it is no calendar period, or empty.
        """
        found = _FORM.fullmatch(text)
        if found is None or not any(found.groups()):
            raise ValueError(f"{text[:40]!r} is no calendar period such as P3Y, P6M or P60D")
        return cls(*(int(group or 0) for group in found.groups()))

    def __str__(self) -> str:
        parts = ((self.years, "Y"), (self.months, "M"), (self.days, "D"))
        return "P" + ("".join(f"{n}{unit}" for n, unit in parts if n) or "0D")

    def ends(self, start: date) -> date:
        """The last day of the period that begins with ``start``; ``LAST_DAY`` when it lies past the calendar."""
        months = start.year * 12 + start.month - 1 + self.years * 12 + self.months
        year, month = divmod(months, 12)
        try:
            whole = date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))
            return whole + timedelta(days=self.days)
        except (ValueError, OverflowError, calendar.IllegalMonthError):
            return LAST_DAY

    def shorter_than(self, other: CalendarPeriod) -> bool:
        """Whether there is any day from which this ends earlier than ``other``."""
        return _shorter(self, other)


_CYCLE: Final = (date(2023, 1, 1), date(2095, 1, 1))
"""Twelve years from each: an ordinary run of leap days, and the eight years without one around 2100."""


@functools.lru_cache(maxsize=256)
def _shorter(one: CalendarPeriod, other: CalendarPeriod) -> bool:
    return any(
        one.ends(first + timedelta(days=n)) < other.ends(first + timedelta(days=n))
        for first in _CYCLE
        for n in range(12 * 366)
    )


def may_go_on(start: date, period: CalendarPeriod) -> date:
    """The first day on which what ``period`` protects from ``start`` may be destroyed."""
    last = period.ends(start)
    return last if last == LAST_DAY else last + timedelta(days=1)


def shanghai_date(moment: datetime) -> date:
    """The calendar day in China of a moment that knows its zone."""
    return moment.astimezone(SHANGHAI).date()


def stored_date(text: str) -> date:
    """The calendar day in China of a time as the catalogue writes it."""
    return shanghai_date(datetime.fromisoformat(text))


def first_day_of(month: str) -> date:
    """First day of a month ``YYYY-MM``."""
    return date(int(month[:4]), int(month[5:7]), 1)


def last_day_of(month: str) -> date:
    """Last day of a month ``YYYY-MM``."""
    year, number = int(month[:4]), int(month[5:7])
    return date(year, number, calendar.monthrange(year, number)[1])


def start_of(day: date) -> datetime:
    """The moment a day begins in China, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).astimezone(UTC)
