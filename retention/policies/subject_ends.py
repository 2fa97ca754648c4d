"""How a subject stands by its row of the index, as conditions for statements."""

from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa

from retention.catalogue.tables import timestamp
from retention.policies.periods import start_of
from retention.policies.tables import subjects


def still_open() -> sa.ColumnElement[bool]:
    """Whether a subject's row says that it has not ended (or runs again since)."""
    c = subjects.c
    return sa.or_(c.ended_at.is_(None), sa.and_(c.open_at.is_not(None), c.open_at > c.ended_at))


def counting_day() -> sa.ColumnElement[str]:
    """The day an ended subject counts from: its end, or any later record of it (an after-sales event)."""
    c = subjects.c
    return sa.case((c.news_on > c.ended_on, c.news_on), else_=c.ended_on)


def end_of(day: str) -> str:
    """The moment at which a day (``YYYY-MM-DD``, Asia/Shanghai) is over, as the index writes moments."""
    return timestamp(start_of(date.fromisoformat(day) + timedelta(days=1)))
