"""Records that are events of the log: counted with the rule that says until when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import labels
from retention.catalogue import events
from retention.policies.errors import PolicyFileError
from retention.policies.periods import CalendarPeriod, may_go_on
from retention.policies.simulate import simulate
from retention.policies.trails import _since, read_trails, shipped_trails
from tests.retention.policies.world import World, at, close, logs, make_world


@pytest.fixture
def world(tmp_path: Path, catalogue_url: str) -> Iterator[World]:
    made = make_world(tmp_path / "world", catalogue_url)
    yield made
    close(made)


def note(world: World, kind: str, *days: str) -> None:
    with world.catalogue.write() as connection:
        for day in days:
            events.append(connection, kind=kind, actor="ann", subject="query:Q1", body={}, at=at(day))


def counted(world: World, day: str) -> dict[str, tuple[int, int]]:
    with world.catalogue.read() as connection:
        found = simulate(connection, date.fromisoformat(day), settings=world.settings)
    assert set(found.as_json()["events"]) == {trail.name for trail in shipped_trails()}  # type: ignore[call-overload]
    return {one.trail.name: (one.events, one.needed) for one in found.trails}


def test_queries_are_needed_as_long_as_any_data_that_they_can_concern(world: World) -> None:
    world.ingest(logs("2022-01-10"))
    world.ingest(logs("2022-06-10"))
    note(world, "query.started", "2021-12-30", "2022-01-20", "2022-05-20", "2022-07-01")
    world.follow()
    assert counted(world, "2022-08-01")["access"] == (4, 3)
    # January's logs are due, June's stay: what was asked before there were any cannot concern them.
    assert counted(world, "2023-02-15")["access"] == (4, 1)
    assert counted(world, "2023-08-01")["access"] == (4, 0)


def test_a_segment_that_was_not_read_yet_keeps_them(world: World) -> None:
    world.ingest(logs("2022-01-10"))
    note(world, "content.read", "2022-01-20")
    assert counted(world, "2029-01-01")["access"] == (1, 1)


def test_what_was_provided_and_assessed_is_needed_for_three_years(world: World) -> None:
    note(world, "disclosure.exported", "2021-02-28", "2021-03-01")
    note(world, "duty.completed", "2020-02-29")
    assert counted(world, "2024-02-28")["provision"] == (2, 2)
    assert counted(world, "2024-02-29")["provision"] == (2, 1)
    assert counted(world, "2024-03-02")["provision"] == (2, 0)
    assert counted(world, "2023-02-28")["assessment"] == (1, 1)
    assert counted(world, "2023-03-01")["assessment"] == (1, 0)


@given(st.dates(date(2004, 1, 1), date(2099, 12, 31)), st.sampled_from(["P3Y", "P1Y", "P6M", "P60D"]))
def test_the_first_day_that_a_floor_keeps_is_exact(day: date, text: str) -> None:
    floor = CalendarPeriod.parse(text)
    first = _since(floor, day)
    assert may_go_on(first, floor) > day
    assert may_go_on(first - timedelta(days=1), floor) <= day


def test_every_rule_names_kinds_that_there_are_and_damage_is_refused() -> None:
    text = (Path(str(read_trails.__code__.co_filename)).parent / "matrix.toml").read_text(encoding="utf-8")
    assert {kind for trail in shipped_trails() for kind in trail.kinds} <= set(labels.EVENTS)
    for old, new in (
        ('rule = "while_data"', 'rule = "long"'),
        ('"query.failed"', '"query.started"'),
        ("kinds = [", "kind = ["),
    ):
        with pytest.raises(PolicyFileError):
            read_trails(text.replace(old, new, 1))
