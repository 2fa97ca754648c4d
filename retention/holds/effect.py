"""What active holds keep: the one place that destruction, compaction and the audits ask.

A hold on records (account, ticket, a query's result) keeps the segments they were found in, and every segment that was
not examined for it yet. A hold follows its rows through compaction: whoever took over a held segment's rows is held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from retention.catalogue.tables import segments, timestamp
from retention.holds.tables import hold_segments, holds
from retention.manifest import SegmentManifest
from retention.policies.periods import last_day_of, start_of
from retention.policies.tables import segment_lineage, unit_segments

ACTIVE: Final = "active"
SPAN: Final = "span"
ACCOUNT: Final = "account"
TICKET: Final = "ticket"
"""The kinds of holds that later segments may fall under; the others name what was there when they were placed."""


def held_segments(connection: sa.Connection) -> dict[str, list[str]]:
    """Ids of the live segments under hold, each with the holds that keep it."""
    found: dict[str, list[str]] = defaultdict(list)
    h = holds.c
    active = connection.execute(sa.select(holds).where(h.state == ACTIVE).order_by(h.hold_id)).all()
    if not active:
        return {}
    for hold in active:
        if hold.kind == SPAN:
            for segment_id in _in_span(connection, hold):
                found[segment_id].append(hold.hold_id)
        elif hold.kind == ACCOUNT:
            for segment_id in unexamined(connection, hold.hold_id):
                found[segment_id].append(hold.hold_id)
    s = hold_segments.c
    named = connection.execute(
        sa.select(s.segment_id, s.hold_id)
        .select_from(hold_segments.join(holds, h.hold_id == s.hold_id))
        .where(h.state == ACTIVE, s.rows > 0)
        .order_by(s.hold_id)
    )
    for segment_id, hold_id in named:
        found[segment_id].append(hold_id)
    return _with_heirs(connection, found)


def unexamined(connection: sa.Connection, hold_id: str) -> list[str]:
    """Live segments that were not examined for a hold."""
    s, g = hold_segments.c, segments.c
    rows = connection.execute(
        sa.select(g.segment_id)
        .select_from(segments.outerjoin(hold_segments, sa.and_(s.segment_id == g.segment_id, s.hold_id == hold_id)))
        .where(s.segment_id.is_(None))
        .order_by(g.segment_id)
    )
    return list(rows.scalars())


def _in_span(connection: sa.Connection, hold: sa.Row[Any]) -> list[str]:
    """Segments that may hold a record of the span: by their event times, and by their month where those say nothing."""
    g = segments.c
    query = sa.select(g.segment_id, g.period, g.event_time_min, g.event_time_max)
    if hold.record_class:
        query = query.where(g.record_class == hold.record_class)
    kept = []
    for row in connection.execute(query):
        begins, ends = _month(row.period)
        first, last = min(row.event_time_min or begins, begins), max(row.event_time_max or ends, ends)
        if (hold.until is None or first < hold.until) and (hold.since is None or last >= hold.since):
            kept.append(row.segment_id)
    return kept


def _month(period: str) -> tuple[str, str]:
    last = last_day_of(period)
    return timestamp(start_of(last.replace(day=1))), timestamp(start_of(last + timedelta(days=1)))


def _with_heirs(connection: sa.Connection, found: Mapping[str, list[str]]) -> dict[str, list[str]]:
    heirs = _heirs(connection)
    kept: dict[str, set[str]] = {name: set(ids) for name, ids in found.items()}
    work = list(kept)
    while work:
        name = work.pop()
        for heir in heirs.get(name, ()):
            before = kept.setdefault(heir, set())
            if not kept[name] <= before:
                before |= kept[name]
                work.append(heir)
    live = set(connection.execute(sa.select(segments.c.segment_id)).scalars())
    return {name: sorted(ids) for name, ids in kept.items() if ids and name in live}


def _heirs(connection: sa.Connection) -> dict[str, list[str]]:
    """Who took over whose rows, segments included that nobody has read yet."""
    heirs: dict[str, list[str]] = defaultdict(list)
    for heir, replaced in connection.execute(sa.select(segment_lineage.c.segment_id, segment_lineage.c.replaced)):
        heirs[replaced].append(heir)
    fresh = connection.execute(
        sa.select(segments.c.segment_id, segments.c.manifest)
        .select_from(segments.outerjoin(unit_segments, unit_segments.c.segment_id == segments.c.segment_id))
        .where(unit_segments.c.number.is_(None))
    )
    for heir, data in fresh:
        for replaced in SegmentManifest.from_bytes(data).replaces:
            heirs[replaced].append(heir)
    return heirs
