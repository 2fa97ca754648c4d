"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from errors import UsageError

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")


def read_time(text: str) -> datetime:
    """Read an ISO 8601 time; one without zone is Asia/Shanghai.

    Raises:
        UsageError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
        known = moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)
        for zone in (UTC, SHANGHAI):
            known.astimezone(zone)  # the calendar's first and last hours are no time in one of them
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no time.", cure="Write it as 2026-11-24T10:30 or with a zone.") from error
    return known


def read_time_given(text: str | None) -> datetime | None:
    """The same of an option that may be left out."""
    return None if text is None else read_time(text)


def show_time(text: str) -> str:
    """A time of the catalogue for people in Shanghai, to the second."""
    return datetime.fromisoformat(text).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
