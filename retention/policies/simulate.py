"""What would be kept, held and destroyed on a day, and what is kept longer than its own period, and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import sqlalchemy as sa

from retention.catalogue.tables import segment_days, segments
from retention.crypto.bodies import BESIDE
from retention.policies.beside import beside_units
from retention.policies.beside_unit import BesideUnit
from retention.policies.book import in_force
from retention.policies.judge import UnitState, Verdict, judge
from retention.policies.listings import ListingCount, count_listings
from retention.policies.model import CountedFrom, Policy
from retention.policies.periods import may_go_on
from retention.policies.settings import RetentionSettings
from retention.policies.subject_ends import counting_day, still_open
from retention.policies.tables import segment_subjects, subjects, unit_segments
from retention.policies.trails import TrailForecast, trails_on


@dataclass(slots=True)
class Amount:
    """Records, sealed bytes and segments."""

    records: int = 0
    bytes: int = 0
    segments: int = 0

    def add(self, state: UnitState) -> None:
        """Count a unit in."""
        self.records += state.rows
        self.bytes += state.bytes_stored
        self.segments += len(state.segments)

    def as_json(self) -> dict[str, int]:
        """The three figures."""
        return {"records": self.records, "bytes": self.bytes, "segments": self.segments}


@dataclass(slots=True)
class ClassForecast:
    """One class on the day: amounts by verdict, units by the code of the reasons that keep them."""

    policy: Policy
    amounts: dict[Verdict, Amount] = field(default_factory=lambda: {verdict: Amount() for verdict in Verdict})
    reasons: Counter[str] = field(default_factory=Counter)
    longer: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The forecast for programs."""
        return {
            "policy": self.policy.as_json(),
            **{verdict.value: amount.as_json() for verdict, amount in self.amounts.items()},
            "reasons": dict(self.reasons),
            "kept_longer_than_needed": self.longer,
        }


@dataclass(slots=True)
class Forecast:
    """What a day would bring if everything due were destroyed on it."""

    at: date
    classes: dict[str, ClassForecast]
    units: Sequence[UnitState]
    trails: Sequence[TrailForecast] = ()
    """What is events of the log, and stays there."""
    listings: ListingCount = field(default_factory=ListingCount)
    """Of the class of transactions: records of articles that belong to no order, as they stand today."""

    def as_json(self) -> dict[str, object]:
        """The forecast for programs."""
        return {
            "at": self.at.isoformat(),
            "classes": {name: found.as_json() for name, found in self.classes.items()},
            "listings": self.listings.as_json(),
            "events": {found.trail.name: found.as_json() for found in self.trails},
            "units": [state.as_json() for state in self.units],
        }


def simulate(connection: sa.Connection, at: date, *, settings: RetentionSettings | None = None) -> Forecast:
    """Judge everything for day ``at``. Nothing is changed; the program's own clock does not matter."""
    beside = beside_units(connection)
    states = judge(connection, at, settings=settings, beside=beside)
    classes = {name: ClassForecast(policy) for name, policy in sorted(in_force(connection, at).items())}
    for state in states:
        found = classes[state.record_class]
        found.amounts[state.verdict].add(state)
        found.reasons.update({reason.code for reason in state.reasons})
    for name, found in classes.items():
        if name in BESIDE:
            found.longer = _beside_longer(beside, name, found.policy, at, states)
        elif found.policy.counted_from.later_record:
            found.longer = _longer_than_needed(connection, name, found.policy, at, states)
        else:
            found.longer = _longer_by_day(connection, name, found.policy, at, states)
    return Forecast(at, classes, states, trails_on(connection, at, states), count_listings(connection))


def _longer_than_needed(
    connection: sa.Connection, record_class: str, policy: Policy, at: date, states: Iterable[UnitState]
) -> dict[str, int]:
    """Records whose own subject has run out by ``at`` while their unit stays, by what keeps the unit."""
    staying = {s.unit_id: s for s in states if s.record_class == record_class and s.verdict is not Verdict.DUE}
    m, n, c, g = unit_segments.c, segment_subjects.c, subjects.c, segments.c
    day = counting_day()
    rows = connection.execute(
        sa.select(m.unit_id, day.label("day"), sa.func.sum(n.rows).label("rows"))
        .select_from(
            unit_segments.join(segments, g.segment_id == m.segment_id)
            .join(segment_subjects, n.number == m.number)
            .join(subjects, sa.and_(c.record_class == g.record_class, c.blind == n.blind))
        )
        .where(g.record_class == record_class, sa.not_(still_open()))
        .group_by(m.unit_id, day)
    )
    found: dict[str, int] = defaultdict(int)
    for row in rows:
        state = staying.get(row.unit_id)
        if state is not None and may_go_on(date.fromisoformat(row.day), policy.floor) <= at:
            found[_why(state)] += int(row.rows)
    return dict(found)


def _longer_by_day(
    connection: sa.Connection, record_class: str, policy: Policy, at: date, states: Iterable[UnitState]
) -> dict[str, int]:
    """The same of a class whose records count from their own day: all of a unit whose last record has run out, else
    those of the days that have, where the days of its segments are counted (``segment_days``)."""
    found: dict[str, int] = defaultdict(int)
    young: dict[int, UnitState] = {}
    for state in states:
        if state.record_class != record_class or state.verdict is Verdict.DUE or state.counts_from is None:
            continue
        if may_go_on(state.counts_from, policy.floor) <= at:
            found[_why(state)] += state.rows
        elif policy.counted_from is CountedFrom.EVENT_TIME:
            young[state.unit_id] = state
    m, d, g = unit_segments.c, segment_days.c, segments.c
    rows = connection.execute(
        sa.select(m.unit_id, d.day, sa.func.sum(d.rows).label("rows"))
        .select_from(
            unit_segments.join(segments, g.segment_id == m.segment_id).join(segment_days, d.segment_id == m.segment_id)
        )
        .where(g.record_class == record_class, d.day < at.isoformat())
        .group_by(m.unit_id, d.day)
    )
    for row in rows:
        state_of = young.get(row.unit_id)
        if state_of is not None and may_go_on(date.fromisoformat(row.day), policy.floor) <= at:
            found[_why(state_of)] += int(row.rows)
    return dict(found)


def _beside_longer(
    units: Iterable[BesideUnit], name: str, policy: Policy, at: date, states: Iterable[UnitState]
) -> dict[str, int]:
    """The same of what lies in the database and has run out while others of its month stay."""
    staying = {s.unit_id: s for s in states if s.record_class == name and s.verdict is not Verdict.DUE}
    found: dict[str, int] = defaultdict(int)
    for unit in units:
        out = sum(count for day, count in unit.ended.items() if may_go_on(day, policy.floor) <= at)
        if out and unit.number in staying:
            found[_why(staying[unit.number])] += out
    return dict(found)


def _why(state: UnitState) -> str:
    codes = {reason.code for reason in state.reasons}
    for code, words in (
        ("hold", "hold"),
        ("ticket", "open_ticket"),
        ("open_subjects", "open_neighbour"),
        ("floor", "later_neighbour"),
        ("young", "ingested_late"),
    ):
        if code in codes:
            return words
    return "unread"
