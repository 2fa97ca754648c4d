"""A simulated clock over ten years: random archives, random days, and a second opinion told in plain dates.

Nothing may be due before its floor, under hold, with a ticket open or an order unended; everything else must be.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retention.holds import place
from retention.holds.place import Matter
from retention.policies.judge import Verdict
from tests.retention.policies.world import World, at, close, logs, make_world, order

FIRST, LAST = date(2023, 11, 1), date(2033, 11, 1)
TICKETS = """CREATE TABLE tickets (
    ticket_id TEXT, state TEXT, source TEXT, partition TEXT, "offset" INT, closed_at TEXT, triaged_at TEXT,
    merged_into TEXT, detected_at TEXT)"""

EDGES = [date(y, m, d) for y in (2024, 2028) for m, d in ((2, 28), (2, 29), (3, 1))]
EDGES += [date(y, m, d) for y in range(2023, 2033) for m, d in ((12, 31), (1, 1)) if date(y, m, d) >= FIRST]
DAYS = st.one_of(st.sampled_from(EDGES), st.dates(FIRST, LAST - timedelta(days=1500)))


@dataclass(frozen=True)
class Life:
    """An order: its day, its end some days later (None: never), a complaint some days after that."""

    day: date
    ends: int | None
    complaint: int | None


LIVES = st.builds(Life, DAYS, st.none() | st.integers(0, 120), st.none() | st.integers(0, 400))


def years_after(day: date, years: int) -> date:
    """The first day after so many years, told without the program's arithmetic."""
    last = date(day.year + years, 3, 1) - timedelta(days=1) if (day.month, day.day) == (2, 29) else (
        day.replace(year=day.year + years)
    )  # fmt: skip
    return last + timedelta(days=1)


def end_of_month(day: date) -> date:
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return following - timedelta(days=1)


@contextmanager
def fresh() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp())
    world = make_world(folder / "world")
    try:
        yield world
    finally:
        close(world)
        shutil.rmtree(folder)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(DAYS, min_size=1, max_size=8), st.lists(LIVES, max_size=6), st.data())
def test_due_means_due(days: list[date], lives: list[Life], data: st.DataObject) -> None:
    with fresh() as world:
        world.ingest(logs(*(day.isoformat() for day in days)))
        ends: dict[str, date | None] = {}
        for number, life in enumerate(lives):
            name = f"o{number}"
            rows = [order(name, "paid", life.day.isoformat())]
            latest = life.day
            if life.ends is not None:
                latest = life.day + timedelta(days=life.ends)
                rows.append(order(name, "completed", latest.isoformat()))
                if life.complaint is not None:
                    latest += timedelta(days=life.complaint)
                    rows.append(order(name, "complaint", latest.isoformat()))
            ends[name] = None if life.ends is None else latest
            world.ingest(rows, "transaction")
        members: dict[str, set[str]] = {}
        for number, life in enumerate(lives):
            name, latest = f"o{number}", ends[f"o{number}"]
            months = {life.day} | ({life.day + timedelta(days=life.ends)} if life.ends is not None else set())
            months |= {latest} if latest else set()
            for day in months:
                members.setdefault(day.isoformat()[:7], set()).add(name)
        states = world.judge(FIRST)
        held = data.draw(st.sets(st.sampled_from([s.segments[0] for s in states]), max_size=2))
        if held:
            place.hold_segments_named(world.store, Matter("c", "x"), sorted(held), actor="ann", now=at("2023-11-01"))
        ticket = data.draw(st.none() | st.sampled_from(range(len(days))))
        world.execute(sa.text(TICKETS))
        if ticket is not None:
            world.execute(
                sa.text(
                    "INSERT INTO tickets VALUES ('T', 'confirmed', 'app', 'user_log.log#1', :o, NULL, NULL, NULL, NULL)"
                ),
                {"o": 10 * ticket},
            )
        # The test's own reading of which month the ticket's record is in: rows are sealed month by month, in order.
        sealed = sorted(days, key=lambda day: day.isoformat()[:7])
        ticketed = None if ticket is None else sealed[ticket].isoformat()[:7]
        checks = {data.draw(st.dates(FIRST, LAST)) for _ in range(4)}
        for state in states:
            if state.expires_on is not None and state.expires_on <= LAST:
                checks |= {state.expires_on, state.expires_on - timedelta(days=1)}
        for today in sorted(checks):
            for state in world.judge(today):
                (month,) = state.periods
                first = date.fromisoformat(f"{month}-01")
                if state.record_class == "user_log":
                    over = years_after(end_of_month(first), 1) <= today
                    kept = month == ticketed
                else:
                    mine = [ends[name] for name in members[month]]
                    over = all(day is not None and years_after(day, 3) <= today for day in mine)
                    kept = False
                kept = kept or bool(set(state.segments) & held)
                assert (state.verdict is Verdict.DUE) == (over and not kept), (state, today)
                assert (state.verdict is Verdict.HELD) == (over and kept), (state, today)
