"""Dividing a unit: what must outlive its key stays readable, row by row; the rest goes; coverage still adds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from retention.audits.coverage import audit_coverage
from retention.audits.integrity import audit_integrity
from retention.audits.keys import audit_keys
from retention.audits.retention import audit_retention
from retention.catalogue.tables import segments
from retention.errors import KeyDestroyedError
from retention.holds import place
from retention.holds.place import Matter
from retention.holds.service import release
from retention.keys.signing import load_verifiers
from retention.policies.decisions import approve_end, propose_end
from retention.purge.certificate import verify_certificate
from retention.purge.errors import NothingDueError
from retention.query.render import renderer
from retention.query.run import run_query
from tests.retention.policies.world import World, at, close, logs, make_world, order
from tests.retention.purge.destroying import approved, beat, planned, run


def orders(world: World) -> list[str]:
    answer = run_query(
        world.store,
        "SELECT order_id FROM transactions ORDER BY order_id, event_time",
        purpose="test",
        actor="ann",
        render=renderer("json", "UTC"),
    )
    # The query's own record has the machine's clock.
    world.execute(sa.text("DELETE FROM events WHERE kind LIKE 'query.%'"))
    return [row["order_id"] for row in json.loads(answer.data)]


def clean(world: World, on: str) -> None:
    assert audit_coverage(world.store).faults == []
    assert audit_integrity(world.store).faults == []
    assert audit_keys(world.store, settings=world.settings, now=at(on)).faults == []
    assert audit_retention(world.store, settings=world.settings, now=at(on)).faults == []


@pytest.fixture
def mixed(world: World) -> World:
    """January 2022: 15 ended orders, one open, two that ended later, each of several records."""
    ended = [order(f"A{n:02}", word, "2022-01-05") for n in range(15) for word in ("paid", "completed")]
    late = [order("L1", "paid", "2022-01-06"), order("L2", "paid", "2022-01-06")]
    world.ingest([*ended, *late, order("OPEN", "paid", "2022-01-07")], "transaction")
    world.ingest([order("A00", "shipped", "2022-01-04"), order("OPEN", "shipped", "2022-01-20")], "transaction")
    world.ingest(
        [order("L1", "completed", "2022-06-05"), order("L2", "completed", "2022-06-25")], "transaction", on="2022-06-26"
    )
    return world


def test_what_stays_is_read_and_what_goes_is_gone(mixed: World) -> None:
    with pytest.raises(NothingDueError):
        planned(mixed, "2025-03-05")
    made = approved(mixed, "2025-03-06")
    (unit,) = made.units
    assert (unit.rows, unit.kept_rows) == (35, 4)
    beat(mixed, "2025-03-07", "2025-03-14")
    certified = run(mixed, made.purge_id, "2025-03-14")
    assert [u.state for u in certified.units] == ["shredded"]
    assert orders(mixed) == ["L1", "L1", "L2", "L2", "OPEN", "OPEN"]
    with pytest.raises(KeyDestroyedError):
        mixed.store.period_keys.get(unit.key_id)
    content = verify_certificate(mixed.store.archive.suite, certified, load_verifiers(mixed.store.period_keys))
    report = audit_retention(mixed.store, settings=mixed.settings, now=at("2025-03-14"))
    (purged,) = [table.rows for table in report.tables if table.name == "purges"]
    assert report.checked["destroyed_records"] == content["records"] == 31, "what was sealed anew is not gone"
    assert [row[4] for row in purged] == ["31"]
    assert (content["records"], content["destroyed"][0]["carried_over"]) == (31, 4)
    clean(mixed, "2025-03-14")
    assert audit_retention(mixed.store, settings=mixed.settings, now=at("2025-03-14")).faults == []
    keys = {record.record_class for record in mixed.store.period_keys.list() if record.destroyed_at is None}
    assert {"transaction.kept", "transaction.open", "transaction"} <= keys


def test_what_went_before_the_month_s_last_record_may_go_is_not_called_early(world: World) -> None:
    ended = [order(f"C{n:02}", word, "2022-01-03") for n in range(20) for word in ("paid", "cancelled")]
    world.ingest([*ended, order("OPEN", "paid", "2022-01-28")], "transaction")
    made = approved(world, "2025-01-06")
    run(world, made.purge_id, "2025-01-13")
    assert made.units[0].kept_rows == 1
    clean(world, "2025-01-13")


def test_with_little_left_nothing_is_waited_for(world: World) -> None:
    world.ingest([order(f"A{n}", "completed", "2022-01-05") for n in range(38)], "transaction")
    world.ingest([order("B", "paid", "2022-01-05"), order("C", "paid", "2022-01-05")], "transaction")
    with pytest.raises(NothingDueError):
        planned(world, "2025-01-05")
    assert [(u.rows, u.kept_rows) for u in planned(world, "2025-01-06").units] == [(40, 2)]


def test_what_was_divided_goes_whole_when_its_month_is_over(mixed: World) -> None:
    made = approved(mixed, "2025-03-06")
    run(mixed, made.purge_id, "2025-03-13")
    second = approved(mixed, "2025-06-26")
    assert sorted((u.rows, u.kept_rows) for u in second.units) == [(2, 0), (2, 0)]
    beat(mixed, "2025-06-27", "2025-07-03")
    run(mixed, second.purge_id, "2025-07-03")
    assert orders(mixed) == ["OPEN", "OPEN"]
    clean(mixed, "2025-07-03")
    # The open one ends by decision, long ago: it goes the next time.
    mixed.follow()
    name = propose_end(
        mixed.store, "transaction", "OPEN", ended_on=at("2022-02-01").date(), reason="x", actor="ann",
        now=at("2025-07-04"),
    )  # fmt: skip
    approve_end(mixed.store, name, actor="ben", now=at("2025-07-04"))
    third = approved(mixed, "2025-07-05")
    beat(mixed, "2025-07-06", "2025-07-12")
    run(mixed, third.purge_id, "2025-07-12")
    assert orders(mixed) == []
    clean(mixed, "2025-07-12")


def test_a_unit_divided_in_the_month_it_was_made(mixed: World) -> None:
    """Two open ones share a key; one ends by decision at once: the other must not go with the key."""
    mixed.ingest([order("OPEN2", "paid", "2022-01-08")], "transaction", on="2022-02-01")
    made = approved(mixed, "2025-03-06")
    run(mixed, made.purge_id, "2025-03-13")
    mixed.follow()
    name = propose_end(
        mixed.store, "transaction", "OPEN", ended_on=at("2022-01-21").date(), reason="x", actor="ann",
        now=at("2025-03-14"),
    )  # fmt: skip
    approve_end(mixed.store, name, actor="ben", now=at("2025-03-14"))
    beat(mixed, "2025-03-14", "2025-03-21")
    second = approved(mixed, "2025-03-22")
    (unit,) = second.units
    assert (unit.rows, unit.kept_rows) == (3, 1)
    beat(mixed, "2025-03-23", "2025-03-29")
    run(mixed, second.purge_id, "2025-03-29")
    assert orders(mixed) == ["L1", "L1", "L2", "L2", "OPEN2"]
    clean(mixed, "2025-03-29")


def test_held_segments_stay_whole_and_go_after_release(world: World) -> None:
    (one,) = world.ingest(logs("2024-02-01", "2024-02-02"))
    world.ingest(logs("2024-02-03"))
    hold_id = place.hold_segments_named(
        world.store, Matter("case", "x"), [one.segment_id], actor="ann", now=at("2024-06-01")
    )
    with pytest.raises(NothingDueError):
        planned(world, "2025-04-28")
    made = approved(world, "2025-05-01")
    assert [(u.rows, u.kept_rows) for u in made.units] == [(3, 2)]
    run(world, made.purge_id, "2025-05-08")
    (state,) = world.judge("2025-05-08")
    assert (state.rows, state.verdict.value) == (2, "held")
    clean(world, "2025-05-08")
    with pytest.raises(NothingDueError):
        planned(world, "2029-01-01")
    release(world.store, hold_id, reason="over", proof=b"x", actor="ann", now=at("2029-01-02"))
    last = approved(world, "2029-01-03")
    run(world, last.purge_id, "2029-01-10")
    assert world.judge("2029-01-10") == []
    clean(world, "2029-01-10")


@pytest.mark.parametrize("what", ["reopened", "held", "run out since"])
def test_what_changed_since_the_plan_is_kept(mixed: World, what: str) -> None:
    made = approved(mixed, "2025-03-06")
    beat(mixed, "2025-03-07", "2025-03-14")
    if what == "reopened":
        mixed.ingest([order("A07", "complaint", "2025-03-10")], "transaction", on="2025-03-10")
        mixed.follow()
    elif what == "held":
        with mixed.catalogue.read() as connection:
            names = list(connection.execute(sa.select(segments.c.segment_id)).scalars())
        place.hold_segments_named(mixed.store, Matter("c", "x"), names, actor="ann", now=at("2025-03-10"))
    on = "2025-06-07" if what == "run out since" else "2025-03-14"
    if what == "run out since":
        beat(mixed, "2025-03-15", on)
    certified = run(mixed, made.purge_id, on)
    left = orders(mixed)
    if what == "reopened":
        assert left.count("A07") == 3
        assert len(left) == 9
    elif what == "held":
        assert [u.state for u in certified.units] == ["dropped"]
        assert len(left) == 37
    else:
        # L1 ran out on 2025-06-06, after the plan that was approved: it is for the next one.
        assert left == ["L1", "L1", "L2", "L2", "OPEN", "OPEN"]
    clean(mixed, on)


class Killed(BaseException):
    pass


@pytest.mark.slow
def test_stopped_at_every_step(tmp_path: Path) -> None:
    stop_at, total = 0, 99
    while stop_at < total:
        world = make_world(tmp_path / f"stop{stop_at}")
        world.ingest(
            [*(order(f"A{n}", "completed", "2022-01-05") for n in range(5)), order("OPEN", "paid", "2022-01-07")],
            "transaction",
        )
        made = approved(world, "2025-03-06")
        seen: list[str] = []

        def stop(name: str, stop_at: int = stop_at, seen: list[str] = seen) -> None:
            seen.append(name)
            if len(seen) == stop_at + 1:
                raise Killed

        try:
            run(world, made.purge_id, "2025-03-13", stop)
        except Killed:
            assert set(orders(world)) >= {"OPEN"}
            assert audit_coverage(world.store).faults == []
            assert audit_integrity(world.store).faults == []
        else:
            total = len(seen)
        world.follow()
        assert run(world, made.purge_id, "2025-03-13").state == "certified"
        assert orders(world) == ["OPEN"]
        clean(world, "2025-03-13")
        close(world)
        stop_at += 1
    assert total >= 10
