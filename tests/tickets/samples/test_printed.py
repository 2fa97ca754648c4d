"""What the audit of human review shows of rates: the weeks that people looked at, however old, and what is left out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from retention.audits.report import AuditReport
from tickets.samples.audit import SHOWN_DAYS, SHOWN_WEEKS, _tables
from tickets.samples.rates import Rate

UNSEEN = Rate(9, 0, 5, 0, 0, None, None, None)
SEEN = Rate(9, 9, 5, 5, 1, 0.2, 0.1, 0.4)


def test_measured_weeks_are_drawn_though_the_table_shows_newer_ones() -> None:
    weeks = {str(date(2025, 1, 6) + timedelta(weeks=n)): SEEN if n < 2 else UNSEEN for n in range(40)}
    days = {str(date(2025, 1, 6) + timedelta(days=n)): UNSEEN for n in range(50)}
    report = AuditReport("samples", datetime(2026, 1, 1, tzinfo=UTC))
    _tables(report, weeks, days, {})
    (picture,) = report.pictures
    assert all(day in picture.svg for day in ("2025-01-06", "2025-01-13"))
    by_week, by_day = report.tables
    assert (len(by_week.rows), len(by_day.rows)) == (SHOWN_WEEKS, SHOWN_DAYS)
    assert by_week.title.endswith("(最近 26 项,共 40 项 the newest 26 of 40)")
    assert by_day.title.endswith("the newest 31 of 50)")
