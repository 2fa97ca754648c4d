"""The audit of human review 人工抽检审计: was a sample drawn every day, was it reviewed, and what was missed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from retention.audits.history import add_history
from retention.audits.kinds import NAMES
from retention.audits.pictures import intervals
from retention.audits.report import AuditReport, Severity, Span, Table
from retention.catalogue.engine import Catalogue
from retention.policies.periods import shanghai_date
from retention.printing.blocks import Picture
from retention.transparency.verdict import LogVerdict
from tickets.samples.draw import Frame
from tickets.samples.rates import Rate
from tickets.samples.standing import standing
from tickets.samples.tables import WAITING
from tickets.samples.tables import samples as table

AUDIT = "samples"
LATE_DAYS = 7
"""A sample that waits longer is named."""
SHOWN_DAYS = 31
SHOWN_WEEKS = 26
_HEADER = ("放行 Passed", "抽样 Drawn", "复核 Reviewed", "漏检 Missed", "漏检率与 95% 区间 Miss rate, interval")
_WIDTHS = (2.4, 1.6, 1.2, 1.4, 1.2, 3.6)


def audit_samples(
    catalogue: Catalogue,
    *,
    frames: Iterable[Frame],
    size: int,
    lag_hours: int,
    span: Span | None = None,
    verdict: LogVerdict | None = None,
    now: datetime | None = None,
) -> AuditReport:
    """Judge the samples of days of publication in a span.

    Args:
        frames: what is declared public now.
        size: texts a day by the settings, 0 where sampling is off.
        lag_hours: how long after its end a day is drawn; a day of grace later it is missed.
        verdict: what was found of the transparency log.
    """
    moment = now or datetime.now(UTC)
    chosen = span or Span()
    report = AuditReport(AUDIT, moment, chosen)
    off = (
        "no source declares text published to the public"
        if not tuple(frames)
        else "[review] size is 0"
        if not size
        else None
    )
    with catalogue.read() as connection:
        found = standing(
            connection,
            since=shanghai_date(chosen.since) if chosen.since else None,
            until=shanghai_date(chosen.until) if chosen.until else None,
            due=None if off else shanghai_date(moment - timedelta(hours=lag_hours)) - timedelta(days=2),
        )
        late = (shanghai_date(moment) - timedelta(days=LATE_DAYS)).isoformat()
        waits = connection.execute(
            sa.select(table.c.day, sa.func.count().label("samples"))
            .where(table.c.state == WAITING, table.c.day < late)
            .group_by(table.c.day)
            .order_by(table.c.day)
        ).all()
    total = found.total
    report.checked.update(
        days_sampled=len(found.by_day),
        passed_texts=total.passed,
        drawn=total.drawn,
        reviewed=total.reviewed,
        missed=total.missed,
        waiting=found.waiting,
    )
    if total.rate is not None and total.low is not None and total.high is not None:
        report.checked["covered"] = total.covered
        report.checked.update(miss_rate=f"{total.rate:.3%}", interval=f"{total.low:.3%} – {total.high:.3%}")
    if off or not (found.by_day or found.undrawn):
        why = off or "no day was drawn yet: `liucun worker` draws every day"
        report.add("not_sampled", "review", f"People look at no sample: {why}.", Severity.NOTICE)
    for first, last, count in runs(found.undrawn):
        what = "No sample of this day was drawn." if count == 1 else f"No sample of these {count} days was drawn."
        report.add("not_sampled", _days(first, last), what)
    waiting = {row.day: int(row.samples) for row in waits}
    for first, last, _ in runs(waiting):
        number = sum(count for day, count in waiting.items() if first <= day <= last)
        what = f"{number} samples have waited over {LATE_DAYS} days."
        report.add("not_reviewed", _days(first, last), what, Severity.NOTICE)
    for ticket in found.tickets:
        report.add("missed", f"ticket:{ticket}", "A person found it, the detectors had passed it.", Severity.NOTICE)
    _tables(report, found.by_week, found.by_day, found.by_type)
    if verdict is not None:
        add_history(report, verdict, whole=False)
    return report


def runs(days: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    """Runs of days that follow each other, as first day, last day and how many: a long stop is one thing to say."""
    first = last = None
    count = 0
    for day in sorted(date.fromisoformat(text) for text in days):
        if last is not None and first is not None and day - last > timedelta(days=1):
            yield first.isoformat(), last.isoformat(), count
            first, count = None, 0
        first, last, count = first or day, day, count + 1
    if first is not None and last is not None:
        yield first.isoformat(), last.isoformat(), count


def _days(first: str, last: str) -> str:
    return f"day:{first}" if first == last else f"days:{first}..{last}"


def _newest(title: str, shown: Mapping[str, Rate], every: Mapping[str, Rate]) -> str:
    """A table's title; one that leaves some out says so."""
    some = f"(最近 {len(shown)} 项,共 {len(every)} 项 the newest {len(shown)} of {len(every)})"
    return title if len(shown) == len(every) else f"{title} {some}"


def _tables(
    report: AuditReport, weeks: Mapping[str, Rate], days: Mapping[str, Rate], types: Mapping[str, Rate]
) -> None:
    shown = dict(list(weeks.items())[-SHOWN_WEEKS:])
    last = dict(list(days.items())[-SHOWN_DAYS:])
    # Weeks that people looked at may be older than those that the table shows.
    measured = dict([(week, rate) for week, rate in weeks.items() if rate.rate is not None][-SHOWN_WEEKS:])
    if measured:
        report.pictures.append(
            Picture(
                intervals(
                    [(week, rate.low or 0.0, rate.rate or 0.0, rate.high or 0.0) for week, rate in measured.items()]
                ),
                "每周漏检率及其 95% 置信区间 miss rate of each week (Monday) with its 95 % interval",
            )
        )
    for name, title, first, rates in (
        ("miss_rate_by_week", _newest("每周漏检率 Miss rate by week", shown, weeks), "周一 Monday", shown),
        ("miss_rate_by_type", "各内容类型漏检率 Miss rate by type of content", "类型 Type", types),
        ("miss_rate_by_day", _newest("每日漏检率 Miss rate by day", last, days), "日 Day", last),
    ):
        rows = tuple(
            (
                f"{NAMES[key]} {key}" if key in NAMES else key,
                f"{rate.passed:,}",
                f"{rate.drawn:,}",
                f"{rate.reviewed:,}",
                f"{rate.missed:,}",
                rate.words(),
            )
            for key, rate in rates.items()
        )
        if rows:
            report.tables.append(
                Table(name, title, (first, *_HEADER), rows, widths=_WIDTHS, numbers=frozenset({1, 2, 3, 4}))
            )
