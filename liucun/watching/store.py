"""Figures of a store for its operators: deadlines, horizons, what waits, and whether the clock can be right."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from errors import LiucunError
from liucun.calendar_file import calendar_of
from liucun.times import SHANGHAI
from retention.catalogue.attempts import suspect
from retention.catalogue.events import CONDEMNED_RECORD
from retention.catalogue.tables import batches, events, log_pending
from retention.search.lag import unindexed
from tickets.calendar.working_days import WorkingCalendar
from tickets.states import OPEN
from tickets.tables import tickets
from tickets.tables_sending import outbox

if TYPE_CHECKING:
    from liucun.store import OpenStore
    from retention.intake.journal import Figures

LOG: Final = logging.getLogger("liucun.watching")
Found = Iterator[tuple[str, tuple[str, ...], float]]
FAR: Final = 10
"""Working days from which on a deadline is ``more`` than far."""


def store_figures(opened: OpenStore) -> Found:
    """All figures of the store; without an answer of the catalogue only that there was none."""
    try:
        found = list(_figures(opened))
    except LiucunError as error:
        LOG.error("the store's figures cannot be read: %s", error)  # noqa: TRY400 - the words say it all
        yield "liucun_store_readable", (), 0
        return
    yield "liucun_store_readable", (), 1
    yield from found


def _figures(opened: OpenStore) -> Found:
    now = datetime.now(UTC)
    today = now.astimezone(SHANGHAI).date()
    calendar = calendar_of(opened.root)
    yield "liucun_calendar_horizon_days", (), (calendar.verified_through - today).days
    stated = opened.settings.keys.certificates
    ends = [one.valid_until for one in (stated.key_protection, stated.bulk_encryption, stated.signing) if one]
    if ends:
        yield "liucun_key_horizon_days", (), (min(ends) - today).days
    b, t = batches.c, tickets.c
    with opened.catalogue.read() as connection:
        due = connection.execute(sa.select(t.due_on, sa.func.count()).where(t.state.in_(OPEN)).group_by(t.due_on)).all()
        last = connection.execute(sa.select(b.source, sa.func.max(b.committed_at)).group_by(b.source)).all()
        pending = connection.execute(sa.select(sa.func.count()).select_from(log_pending)).scalar_one()
        messages = connection.execute(sa.select(outbox.c.state, sa.func.count()).group_by(outbox.c.state)).all()
        died = connection.execute(suspect()).scalar_one()
        condemned = connection.execute(
            sa.select(sa.func.count()).select_from(events).where(events.c.kind == CONDEMNED_RECORD)
        ).scalar_one()
        searched = opened.settings.search
        behind_search = unindexed(connection, searched).seconds(now) if searched.on else None
    if behind_search is not None:
        yield "liucun_oldest_unindexed_seconds", (), behind_search
    counts = Counter(dict.fromkeys(("overdue", *(str(n) for n in range(FAR + 1)), "more", "none"), 0))
    for day, count in due:
        counts[days_left(day, today, calendar)] += int(count)
    for left, number in counts.items():
        yield "liucun_open_tickets", (left,), number
    behind = 0.0
    for source, at in last:
        moment = datetime.fromisoformat(at)
        behind = max(behind, (moment - now).total_seconds())
        yield "liucun_commit_timestamp_seconds", (str(source),), moment.timestamp()
    yield "liucun_clock_behind_seconds", (), behind
    yield "liucun_log_pending_entries", (), int(pending)
    yield "liucun_suspect_partitions", (), int(died)
    yield "liucun_condemned_records", (), int(condemned)
    for state, count in messages:
        yield "liucun_outbox_messages", (str(state),), int(count)


def days_left(due_on: str | None, today: date, calendar: WorkingCalendar) -> str:
    """Working days from today to a due date, as the metric's label."""
    if due_on is None:
        return "none"
    due = date.fromisoformat(due_on)
    if due < today:
        return "overdue"
    for days in range(FAR + 1):
        if (today if not days else calendar.count(today, days).due) >= due:
            return str(days)
    return "more"


def collector_figures(journals: Mapping[str, Figures], refused: int) -> Found:
    """Counts of the collector's journals; ``refused``: requests that came while too much was arriving."""
    for source, f in journals.items():
        for name, value in (
            ("requests", f.requests),
            ("lines", f.lines),
            ("bytes", f.bytes),
            ("repeated", f.repeated),
            ("failures", f.failures),
            ("syncs", f.syncs),
            ("sync_seconds", f.sync_seconds),
        ):
            yield f"liucun_collector_{name}", (source,), value
        yield "liucun_collector_backlog_bytes", (source,), f.backlog
        yield "liucun_collector_refused", (source, "busy"), f.refused_busy
        yield "liucun_collector_refused", (source, "full"), f.refused_full
    yield "liucun_collector_refused", ("", "arriving"), refused
