"""Where a store keeps the calendar that was imported into it."""

from __future__ import annotations

from pathlib import Path

from tickets.calendar.reading import load_calendar
from tickets.calendar.working_days import WorkingCalendar

FILE_NAME = "calendar.toml"


def calendar_of(store: Path) -> WorkingCalendar:
    """The calendar imported into a store, else the shipped one; works without a store.

    Raises:
        SettingsError: the imported file is damaged.
    """
    return load_calendar(store / FILE_NAME)
