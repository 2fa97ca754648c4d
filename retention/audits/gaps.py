"""Time gaps: hours without a record of a source that, by its own past, usually has one then; and sources fallen silent.

How likely an hour has a record is read from the past in two ways, because sources differ: from the same hour of the
last 28 days, and from the same hour of the same weekday of the last eight weeks (a source that rests at weekends). The
less likely of the two counts. A run of silent hours is a gap when so long a silence is less likely than
``IMPLAUSIBLE``: a busy source shows a gap of four hours, one with a record a day only days. Silence is measured by
when batches came, not by what they hold: an outage shows before anything of it is read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from retention.audits.days import SHOWN
from retention.catalogue.tables import batches, segment_days, timestamp
from retention.policies.periods import SHANGHAI

IMPLAUSIBLE: Final = 2e-5
USUALLY: Final = math.log(0.5)
"""An hour usually has a record when a miss is less likely than this."""
LEAST_DAYS: Final = 14
LEAST_WEEKS: Final = 4
GRACE: Final = timedelta(hours=2)
"""What is younger may still be on its way."""

SILENCE_DAYS: Final = 28
"""How far back a source's usual pauses are looked for."""
SILENCE_FACTOR: Final = 1.5
LEAST_SILENCE: Final = timedelta(minutes=30)
FEW_BATCHES: Final = 8
"""With fewer pauses than this nobody knows what is usual: a week is waited."""
STRANGE: Final = timedelta(days=7)
MANY_PAUSES: Final = 20
"""With so many, the longest one counts as an outage of the past and not as usual."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Hours [begin, end) of a source in which a record was expected and none came."""

    source: str
    begin: datetime
    end: datetime

    @property
    def words(self) -> str:
        """The span for people, in Shanghai's time."""
        if self.begin.date() == (self.end - timedelta(seconds=1)).date():
            return f"{self.begin:%Y-%m-%d %H:%M}–{'24:00' if self.end.hour == 0 else f'{self.end:%H:%M}'}"
        return f"{self.begin:%Y-%m-%d %H:%M} – {self.end:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Silence:
    """A source whose last batch is longer ago than is usual for it."""

    source: str
    last: datetime
    usual: timedelta

    def words(self, now: datetime) -> str:
        """What is said of it."""
        last = self.last.astimezone(SHANGHAI)
        return (
            f"No batch since {last:%Y-%m-%d %H:%M} ({_span(now - self.last)}); its pauses usually last up to "
            f"{_span(self.usual)}."
        )


def time_gaps(connection: sa.Connection, *, now: datetime | None = None, days: int = SHOWN) -> list[Gap]:
    """The gaps of every source in the days that end with ``now``."""
    moment = (now or datetime.now(UTC)).astimezone(SHANGHAI)
    today = moment.date()
    first = today - timedelta(days=days + 7 * 8)
    d = segment_days.c
    rows = connection.execute(
        sa.select(d.source, d.day, d.hours).where(d.day >= first.isoformat(), d.day <= today.isoformat())
    )
    masks: dict[str, dict[str, int]] = {}
    for row in rows:
        mine = masks.setdefault(row.source, {})
        mine[row.day] = mine.get(row.day, 0) | row.hours
    end = moment - GRACE
    found: list[Gap] = []
    for source, by_day in sorted(masks.items()):
        present = _hours(by_day, first, (today - first).days + 1)
        found.extend(_gaps(source, present, first, end, begin=today - timedelta(days=days - 1)))
    return found


def _hours(by_day: dict[str, int], first: date, days: int) -> npt.NDArray[np.bool_]:
    """Days × 24: whether the hour has a record."""
    masks = np.zeros(days, dtype=np.int64)
    for day, mask in by_day.items():
        masks[(date.fromisoformat(day) - first).days] = mask
    return (masks[:, None] >> np.arange(24)[None, :]) & 1 > 0


def chances(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """For each hour (days × 24) how likely it has a record by the source's past; 0 where too little is known of it."""
    days = len(present)
    lived = np.cumsum(present.any(axis=1)) > 0
    before = np.concatenate([np.zeros((1, 24)), np.cumsum(present, axis=0)])
    known = np.concatenate([[0], np.cumsum(lived)])
    start = np.maximum(np.arange(days) - 28, 0)
    having = before[np.arange(days)] - before[start]
    counted = np.broadcast_to((known[np.arange(days)] - known[start])[:, None], having.shape)
    weekly_having, weekly_counted = np.zeros((days, 24)), np.zeros((days, 1))
    for back in range(7, 7 * 8 + 1, 7):
        if back < days:
            weekly_having[back:] += present[:-back]
            weekly_counted[back:, 0] += lived[:-back]
    # Half a record more and half a miss more: nothing is certain after a few weeks.
    daily = (having + 0.5) / (counted + 1)
    weekly = (weekly_having + 0.5) / (weekly_counted + 1)
    found: npt.NDArray[np.float64] = np.where(
        (counted >= LEAST_DAYS) & (weekly_counted >= LEAST_WEEKS), np.minimum(daily, weekly), 0.0
    )
    return found


def _gaps(source: str, present: npt.NDArray[np.bool_], first: date, end: datetime, *, begin: date) -> Iterator[Gap]:
    misses = np.log1p(-chances(present)).ravel()
    silent = ~present.ravel()
    origin = datetime(first.year, first.month, first.day, tzinfo=SHANGHAI)
    hour = max((begin - first).days * 24, 0)
    total = min(int((end - origin) / timedelta(hours=1)), len(silent))
    while hour < total:
        if not silent[hour]:
            hour += 1
            continue
        stop = hour
        while stop < total and silent[stop]:
            stop += 1
        likely = np.flatnonzero(misses[hour:stop] < USUALLY)
        if misses[hour:stop].sum() < math.log(IMPLAUSIBLE) and len(likely):
            # What is said are the hours that usually have a record, from the first to the last of them.
            yield Gap(
                source,
                origin + timedelta(hours=int(hour + likely[0])),
                origin + timedelta(hours=int(hour + likely[-1] + 1)),
            )
        hour = stop


def silences(
    connection: sa.Connection, *, declared: Collection[str] = (), now: datetime | None = None
) -> list[Silence]:
    """Sources whose last batch with records is longer ago than usual.

    Of a source that is not ``declared`` and came a few times only, nobody expects that it comes again.
    """
    moment = now or datetime.now(UTC)
    b = batches.c
    last = {
        row.source: datetime.fromisoformat(row.last)
        for row in connection.execute(
            sa.select(b.source, sa.func.max(b.committed_at).label("last")).where(b.records > 0).group_by(b.source)
        )
    }
    found = []
    for source, newest in sorted(last.items()):
        if moment - newest <= LEAST_SILENCE:
            continue
        arrivals = _arrivals(connection, source, newest)
        if source not in declared and len(arrivals) <= FEW_BATCHES:
            continue
        usual = usual_pause(arrivals)
        if moment - newest > max(LEAST_SILENCE, usual * SILENCE_FACTOR):
            found.append(Silence(source, newest, usual))
    return found


def _arrivals(connection: sa.Connection, source: str, newest: datetime) -> list[datetime]:
    """When batches of a source came in the four weeks up to its newest, to the minute."""
    b = batches.c
    # Batches of one minute are one arrival; the minute is what the first 16 characters tell.
    minute = sa.func.substr(b.committed_at, 1, 16)
    rows = connection.execute(
        sa.select(minute.label("minute"))
        .where(b.source == source, b.records > 0, b.committed_at >= timestamp(newest - timedelta(days=SILENCE_DAYS)))
        .group_by(minute)
        .order_by(minute)
    )
    return [datetime.fromisoformat(f"{row.minute}:00+00:00") for row in rows]


def usual_pause(arrivals: Sequence[datetime]) -> timedelta:
    """The longest pause that counts as usual for a source that came at these times."""
    pauses = sorted(after - before for before, after in itertools.pairwise(arrivals))
    if len(pauses) < FEW_BATCHES:
        return max(STRANGE, *pauses) if pauses else STRANGE
    return pauses[-2] if len(pauses) >= MANY_PAUSES else pauses[-1]


def _span(span: timedelta) -> str:
    minutes = int(span / timedelta(minutes=1))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
