"""What reports say, and messages that never went out: counted, held, planned, emptied, shredded like tickets' texts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import LiucunError
from retention.audits.keys import audit_keys
from retention.audits.retention import audit_retention
from retention.errors import KeyDestroyedError
from retention.holds import place
from retention.holds.place import Matter
from retention.holds.service import release
from retention.policies.beside import beside_staying, beside_units
from retention.policies.judge import UnitState, Verdict
from retention.policies.model import Policy, shipped_matrix
from retention.policies.periods import CalendarPeriod, may_go_on
from retention.policies.simulate import simulate
from retention.purge.errors import NothingDueError
from retention.purge.plan import approve, plan, read_purge
from retention.purge.tables import purges
from tests.retention.policies.world import World, at, close, make_world
from tests.retention.purge import filing
from tests.retention.purge.destroying import approved, beat, planned, run
from tests.retention.purge.filing import ended, message, number, opened, reported
from tickets.errors import ReportError
from tickets.messages import message_context
from tickets.outbox import list_outbox, send_again
from tickets.reports.register import list_reports, open_report, report_context
from tickets.retaining_filed import seal_filed_lacking
from tickets.tables_sending import outbox, outbox_tickets, reports

CASE = Matter("case 12", "lawsuit of a buyer")
CLASSES = ("report", "message")
THREE_YEARS = CalendarPeriod(3)


@pytest.fixture
def queue(tmp_path: Path, catalogue_url: str) -> Iterator[World]:
    """Tickets A to C, ended in February 2022; a report of A and B, one of C, three messages of January."""
    world = filing.with_queue(make_world(tmp_path / "world", catalogue_url))
    for offset, name in enumerate("ABC"):
        opened(world, name, offset, "2022-01-05")
    for name, day in (("A", "2022-02-01"), ("B", "2022-02-10"), ("C", "2022-02-20")):
        ended(world, name, day)
    reported(world, "R2022-000001", "AB", "2022-01-20")
    reported(world, "R2022-000002", "C", "2022-01-25")
    message(world, "k1", "A", "2022-01-05")
    message(world, "k2", "BC", "2022-01-06")
    message(world, "k3", "A", "2022-01-07", sent="2022-01-08")
    yield world
    close(world)


def state(world: World, day: str, record_class: str = "report") -> UnitState:
    return next(unit for unit in world.judge(day) if unit.record_class == record_class)


def faults(world: World, day: str) -> set[str]:
    found = audit_retention(world.store, settings=world.settings, now=at(day)).faults
    return {fault.kind for fault in found + audit_keys(world.store, settings=world.settings, now=at(day)).faults}


def says(world: World) -> dict[str, str | None]:
    """What each report says; None of one that was emptied."""
    found: dict[str, str | None] = {}
    with world.catalogue.read() as connection:
        for one in list_reports(connection):
            try:
                found[one.report_id[-1]] = open_report(connection, world.store.bodies, one.report_id)["says"]
            except ReportError:
                found[one.report_id[-1]] = None
    return found


def bodies_of(world: World) -> dict[str, bytes]:
    with world.catalogue.read() as connection:
        return dict(connection.execute(sa.select(outbox.c.key, outbox.c.body)).all())  # type: ignore[arg-type]


def test_a_report_is_kept_until_three_years_after_its_last_ticket_was_closed(queue: World) -> None:
    kept = state(queue, "2025-02-20")
    assert (kept.key_id, kept.rows, kept.periods) == (queue.store.bodies.text_key("2022-01", "report"), 2, ("2022-01",))
    assert [str(kept.counts_from), str(kept.expires_on), kept.verdict] == ["2022-02-20", "2025-02-21", Verdict.KEPT]
    assert state(queue, "2025-02-21").verdict is Verdict.DUE
    with queue.catalogue.read() as connection:
        forecast = simulate(connection, date(2025, 2, 15)).classes["report"]
    assert forecast.amounts[Verdict.KEPT].records == 2
    assert forecast.longer == {"later_neighbour": 1}
    assert {"late", "key_past_period"} <= faults(queue, "2025-05-21")
    # A ticket that is open again keeps it, and so does a draft.
    ended(queue, "B", None)
    assert [reason.code for reason in state(queue, "2030-01-01").reasons] == ["ticket"]
    ended(queue, "B", "2022-02-10")
    queue.execute(reports.update().where(reports.c.report_id == "R2022-000002").values(state="approved"))
    assert state(queue, "2030-01-01").counts_from is None


def test_what_was_corrected_stays_as_long_as_its_correction(queue: World) -> None:
    reported(queue, "R2023-000001", "A", "2023-03-01", corrects="R2022-000001")
    assert str(state(queue, "2025-02-20").counts_from) == "2023-03-01"
    reported(queue, "R2023-000002", "A", "2023-06-01", corrects="R2023-000001", state="draft")
    assert state(queue, "2025-02-20").counts_from is None


def test_one_unit_is_judged_by_what_concerns_it_alone(queue: World) -> None:
    """A chain of corrections over months, read from its own end or with everything else, says the same."""
    reported(queue, "R2023-000001", "A", "2023-03-01", corrects="R2022-000001")
    reported(queue, "R2024-000001", "B", "2024-03-01", corrects="R2023-000001")
    with queue.catalogue.read() as connection:
        units = beside_units(connection)
        for unit in units:
            assert beside_units(connection, unit.number) == [unit]
        assert beside_units(connection, -5) == []
        at_day = date(2026, 1, 1)
        january = next(unit for unit in units if unit.record_class == "report" and unit.months == {"2022-01"})
        assert {day.isoformat() for day in january.ended} == {"2022-02-20", "2024-03-01"}
        stays = beside_staying(connection, "report", january.key_id, policy(), at_day)
        assert stays == {"R2022-000001": True, "R2022-000002": False}
        seen: list[str] = []
        sa.event.listen(queue.catalogue.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
        simulate(connection, at_day, settings=queue.settings)
        assert len([one for one in seen if "FROM reports" in one]) == 1


def policy() -> Policy:
    return shipped_matrix().policies["report"]


def test_a_message_counts_from_its_tickets_and_a_delivered_one_from_its_delivery(queue: World) -> None:
    kept = state(queue, "2025-02-20", "message")
    assert (kept.rows, str(kept.counts_from)) == (3, "2022-02-20")
    ended(queue, "C", None)
    assert state(queue, "2030-01-01", "message").counts_from is None
    queue.execute(
        outbox.update().where(outbox.c.key == "k2").values(state="sent", sent_at=at("2022-04-01").isoformat())
    )
    assert str(state(queue, "2025-02-20", "message").counts_from) == "2022-04-01"
    queue.execute(outbox.update().where(outbox.c.key == "k1").values(state="waiting"))
    assert state(queue, "2030-01-01", "message").counts_from is None


def test_all_of_them_are_shredded_with_a_certificate(queue: World) -> None:
    with queue.catalogue.read() as connection:
        before = {row.report_id: row.body for row in connection.execute(sa.select(reports))}
    old = bodies_of(queue)
    with pytest.raises(NothingDueError):
        planned(queue, "2025-02-20", classes=CLASSES)
    made = approved(queue, "2025-02-22", classes=CLASSES)
    assert sorted((unit.record_class, unit.rows, unit.kept_rows) for unit in made.units) == [
        ("message", 3, 0),
        ("report", 2, 0),
    ]
    done = run(queue, made.purge_id, "2025-03-01")
    assert set(says(queue).values()) == {None}
    for report_id, body in before.items():
        with pytest.raises(KeyDestroyedError):
            queue.store.bodies.open(body, report_context(report_id))
    with pytest.raises(KeyDestroyedError):
        queue.store.bodies.open(old["k1"], message_context("k1"))
    assert set(bodies_of(queue).values()) == {b""}
    with queue.catalogue.write() as connection:
        (first, *_) = list_outbox(connection, state="failed")
        assert (first.texts_gone, first.error) == (made.purge_id, None)
        assert not send_again(connection, "ann", first.id)
        assert connection.execute(sa.select(outbox_tickets)).first() is None
    certificate = json.loads(str(done.certificate))
    assert certificate["records"] == 5
    assert faults(queue, "2025-03-01") == set()
    # No key was made for what stays, for nothing does.
    assert not [
        key for key in queue.store.period_keys.list() if key.period == "2025-03" and key.record_class in CLASSES
    ]
    assert not [unit for unit in queue.judge("2025-03-01") if unit.record_class in CLASSES]


def test_what_must_stay_is_sealed_anew_and_its_neighbours_go(queue: World) -> None:
    ended(queue, "C", "2023-02-10")
    made = approved(queue, "2025-05-01", classes=CLASSES)
    assert sorted((unit.record_class, unit.rows, unit.kept_rows) for unit in made.units) == [
        ("message", 3, 1),
        ("report", 2, 1),
    ]
    run(queue, made.purge_id, "2025-05-08")
    assert says(queue) == {"1": None, "2": "R2022-000002"}
    assert json.loads(queue.store.bodies.open(bodies_of(queue)["k2"], message_context("k2")))["type"] == "findings"
    for record_class in CLASSES:
        kept = state(queue, "2025-05-08", record_class)
        assert (kept.rows, kept.key_id) == (1, queue.store.bodies.text_key("2025-05", record_class))
        assert str(kept.expires_on) == "2026-02-11"
    for unit in made.units:
        with pytest.raises(KeyDestroyedError):
            queue.store.period_keys.get(unit.key_id)
    assert faults(queue, "2025-05-08") == set()


@pytest.mark.parametrize("kind", ["ticket", "account", "span"])
def test_nothing_under_a_hold_goes(queue: World, kind: str) -> None:
    now = at("2025-02-20")
    if kind == "ticket":
        hold = place.hold_ticket(queue.store, CASE, number(queue, "C"), actor="ann", now=now)
    elif kind == "account":
        hold = place.hold_account(queue.store, CASE, "uC", actor="ann", now=now)
    else:
        since, until = at("2022-02-15"), at("2022-03-01")
        hold = place.hold_span(queue.store, CASE, since=since, until=until, record_class=None, actor="ann", now=now)
    for record_class in CLASSES:
        held = state(queue, "2025-03-01", record_class)
        assert (held.verdict, [reason.code for reason in held.reasons]) == (Verdict.HELD, ["hold"])
    made = approved(queue, "2025-05-01", classes=CLASSES)
    run(queue, made.purge_id, "2025-05-08")
    assert says(queue) == {"1": None, "2": "R2022-000002"}
    assert {key for key, body in bodies_of(queue).items() if body} == {"k2"}
    release(queue.store, hold, reason="over", proof=b"judgement", actor="ben", now=at("2025-05-09"))
    assert state(queue, "2025-05-10").verdict is Verdict.DUE


def test_what_changes_after_the_plan_keeps_what_it_concerns(queue: World) -> None:
    made = approved(queue, "2025-05-01", classes=CLASSES)
    place.hold_ticket(queue.store, CASE, number(queue, "B"), actor="ann", now=at("2025-05-02"))
    ended(queue, "C", None)
    run(queue, made.purge_id, "2025-05-08")
    assert says(queue) == {"1": "R2022-000001", "2": "R2022-000002"}
    assert {key for key, body in bodies_of(queue).items() if body} == {"k2"}
    by_class = {unit.record_class: unit for unit in read_purge(queue.catalogue, made.purge_id).units}
    assert (by_class["report"].state, by_class["message"].kept_rows) == ("dropped", 1)


def test_stopped_at_every_step_it_goes_on(queue: World) -> None:
    made = approved(queue, "2025-05-01", classes=CLASSES)
    beat(queue, "2025-05-02", "2025-05-08")
    seen: list[str] = []

    def stop(name: str) -> None:
        if name not in seen:
            seen.append(name)
            raise LiucunError("stopped", cure="again")

    for _ in range(30):
        try:
            done = run(queue, made.purge_id, "2025-05-08", stop)
        except LiucunError:
            # Both or none of the two.
            assert len({said is None for said in says(queue).values()}) == 1
        else:
            break
    assert json.loads(str(done.certificate))["records"] == 5
    assert len(seen) >= 8
    assert faults(queue, "2025-05-08") == set()


def test_audits_find_what_went_wrongly(queue: World) -> None:
    made = approved(queue, "2025-02-22", classes=CLASSES)
    run(queue, made.purge_id, "2025-03-01")
    for change, kind in (
        (purges.update().values(started_at="2022-06-01T00:00:00.000000Z"), "early"),
        (purges.update().values(approved_by="ann"), "one_person"),
        (reports.update().values(texts_gone="P0"), "destroyed_without_purge"),
        (outbox.update().where(outbox.c.key == "k1").values(texts_gone="P0"), "destroyed_without_purge"),
        (reports.update().values(texts_gone=None, text_key="gone"), "early"),
    ):
        queue.execute(change)
        assert kind in faults(queue, "2025-03-01")


def test_what_is_from_before_there_were_such_keys_gets_them(queue: World) -> None:
    for table in (reports, outbox):
        queue.execute(table.update().values(text_key=None))
    queue.execute(outbox_tickets.delete())
    assert not [unit for unit in queue.judge("2030-01-01") if unit.record_class in CLASSES]
    with queue.catalogue.read() as connection:
        body = connection.execute(sa.select(reports.c.body).where(reports.c.report_id == "R2022-000002")).scalar_one()
    one = reports.update().where(reports.c.report_id == "R2022-000002")
    queue.execute(one.values(body=body[:-1] + bytes([body[-1] ^ 1])))
    assert seal_filed_lacking(queue.catalogue, queue.store.bodies) == (3, ["report:R2022-000002"])
    queue.execute(one.values(body=body))
    assert seal_filed_lacking(queue.catalogue, queue.store.bodies) == (1, [])
    assert seal_filed_lacking(queue.catalogue, queue.store.bodies) == (0, [])
    assert state(queue, "2025-02-20").rows == 2
    # What was delivered had nothing left to seal.
    assert (state(queue, "2025-02-20", "message").rows, str(state(queue, "2025-02-20", "message").counts_from)) == (
        2,
        "2022-02-20",
    )


@pytest.mark.parametrize("seed", range(3))
def test_over_years_nothing_goes_before_its_floor_and_everything_goes_in_time(
    tmp_path: Path, catalogue_url: str, seed: int
) -> None:
    """Tickets, reports of several of them and messages at random; a purge planned every quarter for six years."""
    dice = random.Random(seed)
    world = filing.with_queue(make_world(tmp_path / "world", catalogue_url))
    ends: dict[str, date] = {}
    day = [date(2020, 1, 5), date(2020, 2, 29), date(2020, 12, 31), date(2021, 2, 28)]
    for offset in range(8):
        name = f"T{offset}"
        begun = dice.choice(day)
        opened(world, name, offset, begun.isoformat())
        ends[name] = begun + timedelta(days=dice.choice([0, 29, 366]))
        ended(world, name, ends[name].isoformat())
    counts: dict[tuple[str, str], date] = {}
    for n in range(6):
        names = dice.sample(sorted(ends), dice.choice([1, 2, 3]))
        made = dice.choice(day)
        reported(world, f"R2020-00000{n}", names, made.isoformat())
        counts["report", f"R2020-00000{n}"] = max(made, *(ends[name] for name in names))
        entry = message(world, f"k{n}", names, made.isoformat())
        counts["message", str(entry)] = max(made, *(ends[name] for name in names))
    gone: dict[tuple[str, str], date] = {}
    for month in range(2, 74, 3):
        on = date(2021 + month // 12, month % 12 + 1, 7)
        beat(world, on - timedelta(days=92), on, every=7)
        try:
            made_plan = plan(
                world.store, reason="expired", actor="ann", now=at(on), settings=world.settings, classes=CLASSES
            )
        except NothingDueError:
            continue
        approve(world.store, made_plan.purge_id, digest=None, actor="ben", now=at(on), settings=world.settings)
        then = date(on.year, on.month, 15)
        beat(world, on, then, every=7)
        run(world, made_plan.purge_id, then.isoformat())
        with world.catalogue.read() as connection:
            for record_class, table in (("report", reports), ("message", outbox)):
                key = next(iter(table.primary_key.columns))
                for found in connection.execute(sa.select(key).where(table.c.texts_gone.is_not(None))).scalars():
                    gone.setdefault((record_class, str(found)), then)
        assert faults(world, then.isoformat()) <= {"late", "key_past_period"}
    assert set(gone) == set(counts)
    for item, went in gone.items():
        floor = may_go_on(counts[item], THREE_YEARS)
        assert went >= floor, (item, counts[item], went)
        # Two months for its neighbours, a quarter between the plans, eight days of waiting.
        assert (went - floor).days <= 62 + 92 + 8, (item, counts[item], went)
    close(world)
