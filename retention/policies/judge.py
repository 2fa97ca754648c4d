"""What may go on a given day: every unit judged by its policy, its subjects, the holds, open tickets and its age.

A unit goes whole or not at all, so the latest day of all its records decides. What cannot be known (a segment that
has not been read, an order without an end) keeps the unit: an error of this page is to keep too long.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from retention.catalogue.tables import segment_places, segments
from retention.holds.effect import held_segments
from retention.policies.beside import beside_units
from retention.policies.beside_unit import BesideUnit
from retention.policies.book import in_force
from retention.policies.follow import unread
from retention.policies.model import CountedFrom, Policy
from retention.policies.periods import LAST_DAY, last_day_of, may_go_on, stored_date
from retention.policies.settings import RetentionSettings
from retention.policies.subject_ends import counting_day, still_open
from retention.policies.tables import segment_subjects, subjects, unit_segments, units
from retention.policies.ticket_ends import has_tickets, standing_tickets


class Verdict(StrEnum):
    """What becomes of a unit on the day asked about."""

    KEPT = "kept"
    DUE = "due"
    """Its period is over and nothing keeps it."""
    HELD = "held"
    """Its period is over, but a hold or an open ticket keeps it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a unit stays. ``code``: floor, open_subjects, hold, ticket, young, unread."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit and what becomes of it.

    ``expires_on`` is the first day on which its period lets it go, None while a subject in it is open;
    ``counts_from`` the latest day that a record in it counts from; ``ceiling_on`` the day it should be gone by.
    """

    unit_id: int
    key_id: str
    record_class: str
    periods: tuple[str, ...]
    segments: tuple[str, ...]
    rows: int
    bytes_stored: int
    policy: Policy
    counts_from: date | None
    expires_on: date | None
    ceiling_on: date | None
    verdict: Verdict
    reasons: tuple[Reason, ...]

    def as_json(self) -> dict[str, object]:
        """The unit for programs."""
        return {
            "key": self.key_id,
            "record_class": self.record_class,
            "periods": list(self.periods),
            "segments": len(self.segments),
            "records": self.rows,
            "bytes": self.bytes_stored,
            "policy": self.policy.label,
            "counts_from": _iso(self.counts_from),
            "expires_on": _iso(self.expires_on),
            "gone_by": _iso(self.ceiling_on),
            "verdict": self.verdict.value,
            "reasons": [{"code": reason.code, "detail": reason.detail} for reason in self.reasons],
        }


@dataclass(slots=True)
class _Gathered:
    key_id: str
    record_class: str
    segments: list[str] = field(default_factory=list)
    periods: set[str] = field(default_factory=set)
    rows: int = 0
    bytes_stored: int = 0
    committed: str = ""


@dataclass(frozen=True, slots=True)
class _Ends:
    """Of the subjects in a unit: how many are open, and the latest day that an ended one counts from."""

    open: int
    latest: str | None


def judge(
    connection: sa.Connection,
    at: date,
    *,
    settings: RetentionSettings | None = None,
    only: int | None = None,
    beside: Sequence[BesideUnit] | None = None,
) -> list[UnitState]:
    """Every unit that is in the archive, by class and month, as it stands on day ``at`` (Asia/Shanghai).

    Holds, tickets and subjects are those of this moment, also when ``at`` lies in the future.
    ``only`` judges a single unit; ``beside`` are the units in the database where they were read before.
    """
    settings = settings or RetentionSettings()
    gathered = _gather(connection, only)
    policies = in_force(connection, at)
    ends = _ends(connection, only)
    held = held_segments(connection)
    ticketed = ticket_segments(connection)
    behind = unread(connection)
    states = [
        _judge(number, unit, policies[unit.record_class], ends, held, ticketed, behind, at, settings)
        for number, unit in gathered.items()
    ]
    others = beside_units(connection, only) if beside is None else beside
    states += [_judge_beside(unit, policies[unit.record_class], at) for unit in others]
    return sorted(states, key=lambda state: (state.record_class, state.periods, state.unit_id))


def _judge_beside(unit: BesideUnit, policy: Policy, at: date) -> UnitState:
    """What a month's key seals in the database: as the segments of a class that counts from a later record."""
    reasons: list[Reason] = []
    counts_from = None if unit.open or not unit.ended else max(unit.ended)
    expires = None if counts_from is None else may_go_on(counts_from, policy.floor)
    if unit.open:
        reasons.append(Reason("ticket", f"{unit.open} open, or about open tickets"))
    if expires is not None and expires > at:
        reasons.append(Reason("floor", f"{policy.floor} from {counts_from}: to {expires}"))
    law = bool(reasons)
    keepers = sorted({name for names, _ in unit.held.values() for name in names})
    if keepers:
        reasons.append(Reason("hold", ", ".join(keepers)))
    return UnitState(
        unit_id=unit.number,
        key_id=unit.key_id,
        record_class=unit.record_class,
        periods=tuple(sorted(unit.months)),
        segments=(),
        rows=unit.rows,
        bytes_stored=unit.bytes_stored,
        policy=policy,
        counts_from=counts_from,
        expires_on=expires,
        ceiling_on=None if counts_from is None else may_go_on(counts_from, policy.ceiling),
        verdict=Verdict.KEPT if law else Verdict.HELD if reasons else Verdict.DUE,
        reasons=tuple(reasons),
    )


def _judge(
    number: int,
    unit: _Gathered,
    policy: Policy,
    ends: Mapping[int, _Ends],
    held: Mapping[str, list[str]],
    ticketed: Mapping[str, int],
    behind: Mapping[str, int],
    at: date,
    settings: RetentionSettings,
) -> UnitState:
    reasons: list[Reason] = []
    counts_from: date | None = last_day_of(max(unit.periods))
    if policy.counted_from.later_record:
        told = ends.get(number, _Ends(0, None))
        if told.open:
            reasons.append(Reason("open_subjects", f"{told.open} not ended ({policy.counted_from.value})"))
            counts_from = None
        elif told.latest is not None:
            counts_from = date.fromisoformat(told.latest)
        if behind.get(unit.record_class):
            # A completion or an after-sales event may stand in what was not read yet.
            reasons.append(Reason("unread", f"{behind[unit.record_class]} segments of the class are not read yet"))
    elif behind.get(unit.record_class):
        reasons.append(Reason("unread", f"{behind[unit.record_class]} segments of the class are not assigned yet"))
    if policy.counted_from is CountedFrom.INGEST_TIME and counts_from is not None:
        counts_from = max(counts_from, stored_date(unit.committed))
    expires = None if counts_from is None else may_go_on(counts_from, policy.floor)
    if expires is not None and expires > at:
        never = expires == LAST_DAY
        reasons.append(
            Reason("floor", f"{policy.floor} from {counts_from}: " + ("never" if never else f"to {expires}"))
        )
    grown = stored_date(unit.committed) + timedelta(days=settings.least_age_days)
    if grown >= at:
        reasons.append(Reason("young", f"ingested until {stored_date(unit.committed)}, kept to {grown} at least"))
    keepers = sorted({hold for segment in unit.segments for hold in held.get(segment, ())})
    tickets = sum(ticketed.get(segment, 0) for segment in unit.segments)
    law = bool(reasons)
    if keepers:
        reasons.append(Reason("hold", ", ".join(keepers)))
    if tickets:
        reasons.append(Reason("ticket", f"{tickets} open tickets"))
    verdict = Verdict.KEPT if law else Verdict.HELD if reasons else Verdict.DUE
    return UnitState(
        unit_id=number,
        key_id=unit.key_id,
        record_class=unit.record_class,
        periods=tuple(sorted(unit.periods)),
        segments=tuple(unit.segments),
        rows=unit.rows,
        bytes_stored=unit.bytes_stored,
        policy=policy,
        counts_from=counts_from,
        expires_on=expires,
        ceiling_on=None if counts_from is None else may_go_on(counts_from, policy.ceiling),
        verdict=verdict,
        reasons=tuple(reasons),
    )


def _gather(connection: sa.Connection, only: int | None) -> dict[int, _Gathered]:
    """Live segments by unit. A segment that the catalogue no longer lists does not count."""
    u, m, g = units.c, unit_segments.c, segments.c
    rows = connection.execute(
        sa.select(u.unit_id, u.key_id, u.record_class, m.segment_id, m.period, m.rows, m.bytes_stored, m.committed_at)
        .select_from(units.join(unit_segments, m.unit_id == u.unit_id).join(segments, g.segment_id == m.segment_id))
        .where(u.destroyed_at.is_(None), sa.true() if only is None else u.unit_id == only)
        .order_by(u.unit_id, m.segment_id)
    )
    found: dict[int, _Gathered] = {}
    for row in rows:
        unit = found.setdefault(row.unit_id, _Gathered(row.key_id, row.record_class))
        unit.segments.append(row.segment_id)
        unit.periods.add(row.period)
        unit.rows += row.rows
        unit.bytes_stored += row.bytes_stored
        unit.committed = max(unit.committed, row.committed_at)
    return found


def _ends(connection: sa.Connection, only: int | None) -> dict[int, _Ends]:
    m, n, c, g = unit_segments.c, segment_subjects.c, subjects.c, segments.c
    opened = sa.case((still_open(), 1), else_=0)
    each = (
        sa.select(
            m.unit_id,
            n.blind,
            sa.func.max(opened).label("open"),
            sa.func.max(sa.case((still_open(), None), else_=counting_day())).label("latest"),
        )
        .select_from(
            unit_segments.join(segments, g.segment_id == m.segment_id)
            .join(segment_subjects, n.number == m.number)
            .join(subjects, sa.and_(c.record_class == g.record_class, c.blind == n.blind))
        )
        .where(sa.true() if only is None else m.unit_id == only)
        .group_by(m.unit_id, n.blind)
        .subquery()
    )
    rows = connection.execute(
        sa.select(each.c.unit_id, sa.func.sum(each.c.open), sa.func.max(each.c.latest)).group_by(each.c.unit_id)
    )
    return {row[0]: _Ends(int(row[1]), row[2]) for row in rows}


def ticket_segments(connection: sa.Connection) -> dict[str, int]:
    """Segments with records on which a ticket is open, and how many tickets."""
    if not has_tickets(connection):
        return {}
    inspector, tickets = sa.inspect(connection), standing_tickets()
    findings = sa.table("findings", *map(sa.column, ("ticket_id", "partition", "offset")))
    t, f, p = tickets.c, findings.c, segment_places.c
    running = sa.not_(t.ended)
    own = tickets.join(segment_places, _inside(t.source, t.partition, t.offset))
    queries = [sa.select(p.segment_id, t.ticket_id).select_from(own).where(running)]
    if inspector.has_table("findings"):
        hits = tickets.join(findings, f.ticket_id == t.ticket_id)
        hits = hits.join(segment_places, _inside(t.source, f.partition, f.offset))
        queries.append(sa.select(p.segment_id, t.ticket_id).select_from(hits).where(running))
    found: dict[str, set[str]] = defaultdict(set)
    for query in queries:
        for segment_id, ticket_id in connection.execute(query):
            found[segment_id].add(ticket_id)
    return {segment_id: len(names) for segment_id, names in found.items()}


def _inside(source: Any, partition: Any, offset: Any) -> sa.ColumnElement[bool]:
    """Whether a segment's place covers an offset."""
    p = segment_places.c
    return sa.and_(p.source == source, p.partition == partition, p.start <= offset, p.end > offset)


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
