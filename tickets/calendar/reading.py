"""Reads a calendar file strictly: every fault is named with its place, nothing is guessed."""

from __future__ import annotations

import functools
import re
import tomllib
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from errors import SettingsError
from tickets.calendar.working_days import SATURDAY, CalendarYear, Holiday, WorkingCalendar

SHIPPED: Final = Path(__file__).parent / "data" / "working_days.toml"
MAX_BYTES: Final = 1 << 20
_HOLIDAY: Final = re.compile(r"(\d{4}-\d{2}-\d{2})/(\d{4}-\d{2}-\d{2}) (\S{1,20})")
_LONGEST: Final = 16


class _Year(BaseModel):
    model_config = ConfigDict(extra="forbid")
    year: int = Field(ge=1990, le=2200)
    notice: str = Field(min_length=1, max_length=200)
    holidays: list[str] = Field(max_length=100)
    makeup: list[str] = Field(max_length=100)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: int = Field(ge=1, le=1)
    version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")
    year: list[_Year] = Field(min_length=1, max_length=211)


@functools.cache
def shipped_calendar() -> WorkingCalendar:
    """The calendar that comes with this version."""
    return read_calendar(SHIPPED)


def load_calendar(override: Path | None = None) -> WorkingCalendar:
    """The calendar in a file if there is one there, else the shipped one.

    Raises:
        SettingsError: the file is damaged; a damaged calendar is never passed over.
    """
    if override is not None and override.exists():
        return read_calendar(override)
    return shipped_calendar()


def read_calendar(path: Path) -> WorkingCalendar:
    """Read a calendar file.

    Raises:
        SettingsError: it cannot be read, or contradicts itself; the message names the place.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _wrong(path, "it is larger than 1 MiB")
        file = _File.model_validate(tomllib.loads(path.read_bytes().decode("utf-8")))
    except OSError as error:
        raise _wrong(path, f"it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _wrong(path, "it is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, f"it is not valid TOML: {error}") from error
    except RecursionError as error:
        raise _wrong(path, "it is nested too deeply") from error
    except ValidationError as error:
        places = "; ".join(f"{_place(item['loc'])}: {item['msg']}" for item in error.errors()[:5])
        raise _wrong(path, places) from error
    years = tuple(_year(path, year) for year in file.year)
    for before, after in pairwise(years):
        if after.year != before.year + 1:
            raise _wrong(
                path, f"year {after.year} follows {before.year}: years must be consecutive and each given once"
            )
    return WorkingCalendar(file.version, years)


def _year(path: Path, given: _Year) -> CalendarYear:
    holidays: list[Holiday] = []
    taken: set[date] = set()
    for text in given.holidays:
        found = _HOLIDAY.fullmatch(text)
        if found is None:
            raise _wrong(path, f'year {given.year}: the holiday "{text[:60]}" is not of the form "FROM/TO NAME"')
        holiday = Holiday(_date(path, given.year, found[1]), _date(path, given.year, found[2]), found[3])
        length = (holiday.last - holiday.first).days + 1
        if not 1 <= length <= _LONGEST:
            raise _wrong(path, f"year {given.year}: {holiday.name} lasts {length} days")
        days = {holiday.first + timedelta(days=n) for n in range(length)}
        if days & taken:
            raise _wrong(path, f"year {given.year}: {min(days & taken)} is in two holidays")
        taken |= days
        holidays.append(holiday)
    makeup = tuple(_date(path, given.year, text) for text in given.makeup)
    for day in makeup:
        if day.weekday() < SATURDAY:
            raise _wrong(path, f"year {given.year}: the make-up day {day} is no weekend day")
        if day in taken or makeup.count(day) > 1:
            raise _wrong(path, f"year {given.year}: the make-up day {day} is given twice or is a holiday")
    return CalendarYear(given.year, given.notice, tuple(holidays), makeup)


def _date(path: Path, year: int, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise _wrong(path, f'year {year}: "{text[:20]}" is no date') from error
    if day.year != year:
        raise _wrong(path, f"year {year}: {day} lies in another year")
    return day


def _place(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location) or "file"


def _wrong(path: Path, why: str) -> SettingsError:
    return SettingsError(
        f"The calendar {path}: {why}.",
        cure="Mend the file (docs/calendar.md gives its form) or import a right one; no deadline is guessed from it.",
    )
