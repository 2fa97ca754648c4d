"""The calendar of working days: which day is one, up to which day that is known, and counting by it.

Make-up days (调休上班日) are working days. Past the last published year nobody knows:
what needs such a day is provisional, and counted so that it is never too late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

SATURDAY = 5
PROVISIONAL_MARGIN = 2
"""Past the horizon N working days are taken as N - 2 plain weekdays: over every start date of 2012 to 2026 that was
never later than the true tenth working day (9 weekdays were later 12 times)."""


@dataclass(frozen=True, slots=True)
class Holiday:
    """A holiday (法定节假日 with its days off), both days included."""

    first: date
    last: date
    name: str


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """One year as a notice published it."""

    year: int
    notice: str
    holidays: tuple[Holiday, ...]
    makeup: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """Working days counted from a start: ``days`` are the days counted, the last of them ``due``."""

    start: date
    due: date
    days: tuple[date, ...]
    provisional: bool
    calendar: str


@dataclass(frozen=True)
class WorkingCalendar:
    """Consecutive published years; ``version`` names the data."""

    version: str
    years: tuple[CalendarYear, ...]

    @property
    def begins(self) -> date:
        """First day that is known."""
        return date(self.years[0].year, 1, 1)

    @property
    def verified_through(self) -> date:
        """Last day that is known."""
        return date(self.years[-1].year, 12, 31)

    def known(self, day: date) -> bool:
        """Whether the calendar says anything of a day."""
        return self.begins <= day <= self.verified_through

    def is_working_day(self, day: date) -> bool:
        """Whether a known day is worked; of an unknown one, whether it is a weekday."""
        if day in self._makeup:
            return True
        return day.weekday() < SATURDAY and day not in self._holidays

    def name_of(self, day: date) -> str:
        """What a day is, in Chinese."""
        if day in self._makeup:
            return "调休上班"
        return self._holidays.get(day) or ("周末" if day.weekday() >= SATURDAY else "工作日")

    def count(self, start: date, days: int) -> Counted:
        """The ``days``-th working day after ``start``, which is day 0 and does not count (民法典 art. 201)."""
        found = self._walk(start, days, self.is_working_day)
        if all(self.known(day) for day in (start, found[-1])):
            return Counted(start, found[-1], found, False, self.version)
        plain = self._walk(start, max(days - PROVISIONAL_MARGIN, 1), lambda day: day.weekday() < SATURDAY)
        return Counted(start, plain[-1], plain, True, self.version)

    @staticmethod
    def _walk(start: date, days: int, counts: Callable[[date], bool]) -> tuple[date, ...]:
        found: list[date] = []
        day = start
        while len(found) < days:
            day += timedelta(days=1)
            if counts(day):
                found.append(day)
        return tuple(found)

    @cached_property
    def _holidays(self) -> dict[date, str]:
        return {
            holiday.first + timedelta(days=n): holiday.name
            for year in self.years
            for holiday in year.holidays
            for n in range((holiday.last - holiday.first).days + 1)
        }

    @cached_property
    def _makeup(self) -> frozenset[date]:
        return frozenset(day for year in self.years for day in year.makeup)
