"""Records that are events of the log: which rule says until when they are needed at least, and how many there are.

Events are never destroyed: the log is proof of what was destroyed as of what is kept, and only the whole of it is
(docs/retention.md). So each rule is a floor that always holds, and what is counted is how much lies beyond it.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.tables import events, segments, timestamp
from retention.policies.errors import PolicyFileError
from retention.policies.judge import UnitState, Verdict
from retention.policies.model import Rank
from retention.policies.periods import CalendarPeriod, first_day_of, may_go_on, start_of
from retention.policies.tables import unit_segments

_FILE: Final = Path(__file__).with_name("matrix.toml")
_FIRST: Final = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Trail:
    """A class of events. ``floor`` None: as long as the data that they concern."""

    name: str
    kinds: tuple[str, ...]
    floor: CalendarPeriod | None
    basis: str
    rank: Rank

    @property
    def rule(self) -> str:
        """The rule in a word: a period, or ``while_data``."""
        return "while_data" if self.floor is None else str(self.floor)


@dataclass(frozen=True, slots=True)
class TrailForecast:
    """A class of events on a day: how many there are, and how many its rule still needs then."""

    trail: Trail
    events: int
    needed: int
    needed_from: date

    def as_json(self) -> dict[str, object]:
        """The forecast for programs."""
        return {
            "rule": self.trail.rule,
            "kinds": list(self.trail.kinds),
            "basis": self.trail.basis,
            "rank": self.trail.rank.value,
            "events": self.events,
            "needed": self.needed,
            "needed_from": self.needed_from.isoformat(),
            "kept_by_the_log": self.events - self.needed,
        }


@functools.cache
def shipped_trails() -> tuple[Trail, ...]:
    """The rules of this version of the program.

    Raises:
        PolicyFileError: the file is damaged.
    """
    return read_trails(_FILE.read_text(encoding="utf-8"))


def read_trails(text: str) -> tuple[Trail, ...]:
    """Read the rules of a matrix.

    Raises:
        PolicyFileError: it is damaged, or a kind of event has two.
    """
    try:
        found = tuple(_trail(item) for item in tomllib.loads(text)["trail"])
        _each_once(kind for trail in found for kind in trail.kinds)
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyFileError(
            f"The rules of events in the retention matrix are damaged: {error}.",
            cure="Restore the file that came with the program.",
        ) from error
    return found


def trails_on(connection: sa.Connection, at: date, states: Iterable[UnitState]) -> list[TrailForecast]:
    """Every class of events on a day.

    An event can only concern what had been taken in by then, and nothing is taken in before it happened: so events
    since the oldest month that stays are needed, wherever their data lies.

    Args:
        states: every unit as judged for that day.
    """
    oldest = _oldest(connection, at, states)
    e = events.c
    found = []
    for trail in shipped_trails():
        since = oldest if trail.floor is None else _since(trail.floor, at)
        mine = e.kind.in_(trail.kinds)
        needed = sa.func.sum(sa.case((e.at >= timestamp(start_of(since)), 1), else_=0))
        row = connection.execute(sa.select(sa.func.count().label("all"), needed.label("needed")).where(mine)).one()
        found.append(TrailForecast(trail, int(row.all), int(row.needed or 0), since))
    return found


def _oldest(connection: sa.Connection, at: date, states: Iterable[UnitState]) -> date:
    """The first day of the oldest month of anything that stays; the day itself when nothing does."""
    months = [min(state.periods) for state in states if state.verdict is not Verdict.DUE and state.periods]
    g, m = segments.c, unit_segments.c
    fresh = sa.select(sa.func.min(g.period)).select_from(
        segments.outerjoin(unit_segments, m.segment_id == g.segment_id)
    )
    unread = connection.execute(fresh.where(m.number.is_(None))).scalar_one()
    if unread:
        months.append(unread)
    # A record may be a day ahead of the moment it was taken in.
    return min((first_day_of(month) for month in months), default=at) - timedelta(days=1)


def _since(floor: CalendarPeriod, at: date) -> date:
    """The first day whose events the floor still keeps on ``at``."""
    low, high = _FIRST.toordinal(), at.toordinal()
    while low < high:
        middle = (low + high) // 2
        if may_go_on(date.fromordinal(middle), floor) > at:
            high = middle
        else:
            low = middle + 1
    return date.fromordinal(low)


def _each_once(kinds: Iterable[str]) -> None:
    found = list(kinds)
    if len(set(found)) != len(found):
        raise ValueError("a kind of event has two rules")


def _trail(item: dict[str, Any]) -> Trail:
    rule = item["rule"]
    floor = None if rule == "while_data" else CalendarPeriod.parse(rule)
    kinds = tuple(str(kind) for kind in item["kinds"])
    if not kinds:
        raise ValueError(f"{item['name']} names no kind of event")
    return Trail(str(item["name"]), kinds, floor, str(item["basis"]), Rank(item["rank"]))
