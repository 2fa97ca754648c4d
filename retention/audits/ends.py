"""Whether orders, sellers and streams had run out when their records went, as far as what is left of them tells.

What a destroyed unit held is forgotten, hashes too. But of an order that went too early something is left: its later
records, the completion among them, must still be there, and the index knows the day of its first one. If that day's
month was destroyed and nothing of the order is left in it, its first record went. What the archive had of the order by
then, and has still, tells until when at least it was to be kept. Records that came in after the destruction do not
count against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa

from retention.audits.report import AuditReport
from retention.catalogue.sets import among
from retention.policies.model import shipped_matrix
from retention.policies.periods import first_day_of, may_go_on, stored_date
from retention.policies.subject_ends import still_open
from retention.policies.tables import articles, decisions, segment_subjects, subjects, unit_segments, units
from retention.schema import RecordClass

CLASSES: Final = (RecordClass.TRANSACTION, RecordClass.SELLER_IDENTITY, RecordClass.LIVE_INDEX)
"""Classes whose floor counts from a later record. Evidence counts from its ticket, which may be opened again."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A destroyed segment: ``at`` is when it was taken out, as the catalogue writes moments."""

    record_class: str
    period: str
    key_id: str
    at: str


@dataclass(slots=True)
class _Early:
    """Of one destroyed month: how many had not ended, how many had not run out, and the latest day to keep to."""

    running: int = 0
    kept: int = 0
    until: date = date.min


def audit_ends(connection: sa.Connection, report: AuditReport, gone: Iterable[Gone]) -> None:
    """Add a finding ``early`` for each destroyed month of which something that is left says so."""
    # Which of a month's units held an order is forgotten: the one that went last is given the benefit of the doubt.
    latest: dict[tuple[str, str], Gone] = {}
    for one in gone:
        known = latest.get((one.record_class, one.period))
        if one.record_class in CLASSES and (known is None or known.at < one.at):
            latest[one.record_class, one.period] = one
    compared = 0
    for record_class in sorted({name for name, _ in latest}):
        months = {period: one for (name, period), one in latest.items() if name == record_class}
        found: dict[str, _Early] = {}
        for period, rows in _left(connection, record_class, sorted(months)):
            compared += 1
            _judge(rows, months[period], found.setdefault(period, _Early()))
        for period, early in sorted(found.items()):
            where, went = f"unit:{months[period].key_id}", stored_date(months[period].at)
            if early.kept:
                report.add(
                    "early",
                    where,
                    f"{early.kept} of {record_class} {period} went on {went}; what the archive had of them by then "
                    f"kept them to {early.until} at least.",
                )
            if early.running:
                report.add(
                    "early", where, f"{early.running} of {record_class} {period} went on {went} and had not ended."
                )
    if latest:
        report.checked["ends_compared"] = compared


def _left(connection: sa.Connection, record_class: str, months: list[str]) -> Iterator[tuple[str, list[Any]]]:
    """Each subject whose first record lies in one of the months, with a row for each of its living segments."""
    c, n, m, u, a, d = subjects.c, segment_subjects.c, unit_segments.c, units.c, articles.c, decisions.c
    joined = (
        subjects.join(segment_subjects, n.blind == c.blind)
        .join(unit_segments, m.number == n.number)
        .join(units, sa.and_(u.unit_id == m.unit_id, u.record_class == c.record_class))
        .outerjoin(articles, sa.and_(a.blind == c.blind, a.listed_on.is_not(None)))
        .outerjoin(decisions, d.decision_id == c.decision)
    )
    month = sa.func.substr(c.first_on, 1, 7)
    rows = connection.execution_options(yield_per=1000).execute(
        sa.select(
            c.blind, month.label("first"), c.news_on, c.ended_on, sa.case((still_open(), 1), else_=0).label("open"),
            m.period, m.committed_at, a.listed_on, d.approved_at,
        )
        .select_from(joined)
        .where(c.record_class == record_class, among(connection, month, months))
        .order_by(c.blind)
    )  # fmt: skip
    for _, group in groupby(rows, key=lambda row: bytes(row.blind)):
        members = list(group)
        yield members[0].first, members


def _judge(rows: list[Any], gone: Gone, early: _Early) -> None:
    """Count a subject whose first month went, by its living segments."""
    one = rows[0]
    by_then = [row.period for row in rows if row.committed_at <= gone.at]
    if not by_then or any(row.period == gone.period for row in rows):
        return
    # A record of a month counts from the month's first day at least, whatever the index says of its order.
    least = first_day_of(max(by_then))
    # The index sums up all records: it tells how things stood only if none came in since. A listing's end moves with
    # the orders of its article.
    exact = len(by_then) == len(rows) and one.listed_on is None
    if exact:
        least = max(least, *(date.fromisoformat(day) for day in (one.news_on, one.ended_on) if day))
        if one.open or (one.approved_at or "") > gone.at:
            early.running += 1
            return
    may = max(may_go_on(least, floor.period) for floor in shipped_matrix().floors_of(gone.record_class))
    if stored_date(gone.at) < may:
        early.kept += 1
        early.until = max(early.until, may)
