"""Human review for the worker and the commands: what may be drawn from, and which days are due."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from liucun.monitoring import declared_sources, ran_sources
from retention.policies.periods import shanghai_date
from tickets.samples.draw import WORKER, Frame, draw, frames_of
from tickets.samples.tables import days

if TYPE_CHECKING:
    from liucun.store import OpenStore


def frames(opened: OpenStore) -> tuple[Frame, ...]:
    """What the settings, and the command lines of runs, declare public."""
    every = (*declared_sources(opened.settings), *ran_sources(opened.catalogue, opened.settings))
    return frames_of((source.name, source.record_class, source.published) for source in every)


def due_days(opened: OpenStore, now: datetime) -> list[date]:
    """Days that are over long enough and have no sample, oldest first; not before the first day ever drawn, but that
    day is yesterday when there was none."""
    review = opened.settings.review
    last = shanghai_date(now - timedelta(hours=review.lag_hours)) - timedelta(days=1)
    with opened.catalogue.read() as connection:
        known = set(connection.execute(sa.select(days.c.day)).scalars())
    first = min((date.fromisoformat(day) for day in known), default=last)
    first = max(first, last - timedelta(days=review.catch_up_days - 1))
    every = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in every if day.isoformat() not in known]


def draw_due(opened: OpenStore, now: datetime | None = None) -> dict[str, Any]:
    """Draw every day that is due; figures for the worker's record.

    Raises:
        LiucunError: as of ``draw``; days drawn before it stay drawn.
    """
    chosen, size = frames(opened), opened.settings.review.size
    found = {"days": 0, "drawn": 0}
    if not chosen or not size:
        return found
    moment = now or datetime.now(UTC)
    for day in due_days(opened, moment):
        found["drawn"] += len(draw(opened, chosen, day, size, actor=WORKER, now=moment).places)
        found["days"] += 1
    return found
