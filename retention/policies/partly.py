"""Units that cannot go whole although most of what is in them has run out.

One order that never ends would keep a month of orders for good. So once most of a unit has run out, or some of it has
been out of its period for ``PATIENCE`` and the unit still stays, the unit is divided: what must stay is sealed anew
under other keys, each record with those that end in the same month, and the old key goes. What is divided so goes
whole the next time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import sqlalchemy as sa

from retention.catalogue.tables import segments
from retention.crypto.bodies import BESIDE
from retention.holds.effect import held_segments
from retention.policies.beside import beside_units
from retention.policies.judge import UnitState, judge, ticket_segments
from retention.policies.model import Policy
from retention.policies.periods import CalendarPeriod, may_go_on
from retention.policies.settings import RetentionSettings
from retention.policies.subject_ends import counting_day, still_open
from retention.policies.tables import segment_subjects, subjects, unit_segments

PATIENCE: Final = 2
"""Months that run-out records wait for their neighbours before the unit is divided."""
SHARE: Final = 0.9
"""With so much of a unit run out there is little left to seal anew, and nothing to wait for."""
_DIVISIBLE: Final = frozenset({"open_subjects", "floor", "hold", "ticket"})
"""Reasons that belong to single records or segments; any other one keeps the whole unit."""


@dataclass(frozen=True, slots=True)
class PartState:
    """A unit to be divided: ``run_out`` of its records may go, the last of them since ``expired_on``.

    ``whole`` are its segments that stay whole (under hold, or with an open ticket).
    """

    state: UnitState
    run_out: int
    expired_on: date
    whole: frozenset[str]


def partly_due(
    connection: sa.Connection, at: date, settings: RetentionSettings, *, only: int | None = None
) -> list[PartState]:
    """The units to be divided on a day; ``only`` looks at one, whatever its patience."""
    others = beside_units(connection, only)
    states = [
        state
        for state in judge(connection, at, settings=settings, only=only, beside=others)
        if state.reasons and {reason.code for reason in state.reasons} <= _DIVISIBLE
    ]
    if not states:
        return []
    kept = held_segments(connection).keys() | ticket_segments(connection).keys()
    days = _days(connection, [state.unit_id for state in states], kept)
    rows = _rows(connection, [state.unit_id for state in states])
    beside = {unit.number: unit.free for unit in others}
    found = []
    for state in states:
        whole = frozenset(state.segments) & kept
        policy = state.policy
        if state.record_class in BESIDE:
            mine = beside.get(state.unit_id, {})
        elif policy.counted_from.later_record:
            mine = dict(days.get(state.unit_id, {}))
        else:
            loose = sum(count for name, count in rows[state.unit_id].items() if name not in whole)
            mine = {state.counts_from: loose} if loose and state.counts_from is not None else {}
        out = {day: count for day, count in mine.items() if may_go_on(day, policy.floor) <= at}
        most = sum(out.values()) >= SHARE * state.rows
        overdue = most or any(may_go_on(day, patience(policy)) <= at for day in out)
        if out and (overdue or only is not None):
            last = max(may_go_on(day, policy.floor) for day in out)
            found.append(PartState(state, sum(out.values()), last, whole))
    return found


def patience(policy: Policy) -> CalendarPeriod:
    """The period after which run-out records no longer wait for their neighbours."""
    floor = policy.floor
    return CalendarPeriod(floor.years, floor.months + PATIENCE, floor.days)


def survivors(connection: sa.Connection, state: UnitState, at: date) -> dict[bytes, str | None]:
    """Subjects of a unit that have not run out on a day, each with the month in which it will (None: still open)."""
    m, n, c, g = unit_segments.c, segment_subjects.c, subjects.c, segments.c
    rows = connection.execute(
        sa.select(c.blind, still_open().label("open"), counting_day().label("day"))
        .distinct()
        .select_from(
            unit_segments.join(segments, g.segment_id == m.segment_id)
            .join(segment_subjects, n.number == m.number)
            .join(subjects, sa.and_(c.record_class == g.record_class, c.blind == n.blind))
        )
        .where(m.unit_id == state.unit_id)
    )
    found: dict[bytes, str | None] = {}
    for row in rows:
        if row.open:
            found[bytes(row.blind)] = None
            continue
        may = may_go_on(date.fromisoformat(row.day), state.policy.floor)
        if may > at:
            found[bytes(row.blind)] = may.isoformat()[:7]
    return found


def _days(connection: sa.Connection, numbers: Iterable[int], kept: Iterable[str]) -> Mapping[int, Mapping[date, int]]:
    """Records of ended subjects outside of kept segments, by unit and by the day they count from."""
    m, n, c, g = unit_segments.c, segment_subjects.c, subjects.c, segments.c
    day = counting_day()
    free = set(kept)
    rows = connection.execute(
        sa.select(m.unit_id, m.segment_id, day.label("day"), sa.func.sum(n.rows).label("rows"))
        .select_from(
            unit_segments.join(segments, g.segment_id == m.segment_id)
            .join(segment_subjects, n.number == m.number)
            .join(subjects, sa.and_(c.record_class == g.record_class, c.blind == n.blind))
        )
        .where(m.unit_id.in_(list(numbers)), sa.not_(still_open()))
        .group_by(m.unit_id, m.segment_id, day)
    )
    found: dict[int, dict[date, int]] = defaultdict(dict)
    for row in rows:
        if row.segment_id not in free:
            mine = found[row.unit_id]
            on = date.fromisoformat(row.day)
            mine[on] = mine.get(on, 0) + int(row.rows)
    return found


def _rows(connection: sa.Connection, numbers: Iterable[int]) -> Mapping[int, Mapping[str, int]]:
    m = unit_segments.c
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(sa.select(m.unit_id, m.segment_id, m.rows).where(m.unit_id.in_(list(numbers)))):
        found[row.unit_id][row.segment_id] = int(row.rows)
    return found
