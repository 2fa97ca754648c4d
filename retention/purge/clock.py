"""Whether the clock can be trusted with a destruction that nobody can take back.

A clock that was set back, or far ahead, would destroy early. So the present is compared with the newest moment that
the archive has on record (commits, events, signed checkpoints; what the second custodian holds where there is one),
and the record of the last sixty days must have no hole that a leap of the clock would have left.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from retention.catalogue.tables import batches, checkpoints, events, segments, timestamp
from retention.policies.settings import LEAST_AGE_DAYS, RetentionSettings
from retention.purge.errors import ClockRefusedError

TOLERANCE: Final = timedelta(minutes=5)
"""By so much the machines of a deployment may differ."""


def check_clock(
    connection: sa.Connection, now: datetime, settings: RetentionSettings, *, witnessed: datetime | None = None
) -> None:
    """Refuse a clock that contradicts the record.

    Args:
        now: the machine's clock.
        witnessed: time of the newest checkpoint that the second custodian holds.

    Raises:
        ClockRefusedError: it lies before the newest moment on record, too far after it, or has leapt lately.
    """
    columns = (batches.c.committed_at, segments.c.committed_at, events.c.at, checkpoints.c.at)
    newest_texts = [connection.execute(sa.select(sa.func.max(column))).scalar_one() for column in columns]
    known = [datetime.fromisoformat(text) for text in newest_texts if text]
    if not known:
        raise ClockRefusedError(
            "The archive has no moment on record to compare the clock with.", cure="Take something in first."
        )
    newest = max(known)
    if now < newest - TOLERANCE:
        raise ClockRefusedError(
            f"The clock says {_words(now)}, but the archive has a record of {_words(newest)}: it was set back.",
            cure="Set the clock right. If the record is the wrong one, nothing is destroyed until that day has come.",
        )
    reference = newest if witnessed is None else witnessed
    limit = timedelta(days=settings.clock_ahead_days)
    if now - reference > limit:
        raise ClockRefusedError(
            f"The clock says {_words(now)}, over {settings.clock_ahead_days} days after the newest "
            f"{'record' if witnessed is None else 'witnessed checkpoint'} of {_words(reference)}.",
            cure="Check the clock; let sources run and the custodian witness a checkpoint, then try again.",
        )
    begin = now - timedelta(days=LEAST_AGE_DAYS)
    hole = _hole(_days(connection, begin), settings.clock_ahead_days)
    if hole is not None:
        raise ClockRefusedError(
            f"The archive's record leaps from {hole[0]} to {hole[1]}: the clock may have been set ahead.",
            cure=f"Check the clock; a purge works again {LEAST_AGE_DAYS} days after the leap.",
        )


def _days(connection: sa.Connection, begin: datetime) -> Iterable[date]:
    """The UTC days since ``begin`` with a record, and the last one before it."""
    found: set[str] = set()
    last = ""
    for column in (batches.c.committed_at, events.c.at, checkpoints.c.at):
        day = sa.func.substr(column, 1, 10)
        found.update(connection.execute(sa.select(day).distinct().where(column >= timestamp(begin))).scalars())
        before = connection.execute(sa.select(sa.func.max(column)).where(column < timestamp(begin))).scalar_one()
        last = max(last, before or "")
    if last:
        found.add(last[:10])
    return sorted(date.fromisoformat(text) for text in found)


def _hole(days: Iterable[date], limit: int) -> tuple[date, date] | None:
    last: date | None = None
    for day in days:
        if last is not None and (day - last).days > limit + 1:
            return last, day
        last = day
    return None


def _words(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
