"""Texts kept with tickets: counted from the ticket's end, held, planned, emptied and shredded like everything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import LiucunError
from liucun.store import TICKET_SCRIPTS
from retention.audits.keys import audit_keys
from retention.audits.retention import audit_retention
from retention.catalogue.migrate import migrate
from retention.catalogue.tables import events, timestamp
from retention.errors import KeyDestroyedError
from retention.holds import place
from retention.holds.place import Matter
from retention.holds.service import examine, release
from retention.holds.tables import holds
from retention.policies.judge import UnitState, Verdict
from retention.policies.simulate import simulate
from retention.purge.errors import NothingDueError
from retention.purge.plan import read_purge
from retention.purge.tables import purges
from tests.retention.policies.world import World, at, close, make_world
from tests.retention.purge.destroying import approved, beat, planned, run
from tickets.bodies import month_of, note_context, ticket_context
from tickets.opening import ContentFinding, Hit, open_or_extend, prepare
from tickets.queue import ticket_details
from tickets.retaining import seal_lacking
from tickets.sketching import sketch_lacking
from tickets.tables import notes, tickets
from tickets.tables_work import sketches

CASE = Matter("case 12", "lawsuit of a buyer")


@pytest.fixture
def queue(tmp_path: Path, catalogue_url: str) -> Iterator[World]:
    """A store with a queue: four tickets opened in January 2022, A to C ended by 2022-02-10, D a year later."""
    world = make_world(tmp_path / "world", catalogue_url)
    migrate(world.catalogue, room="tickets", script_location=TICKET_SCRIPTS)
    for number, name in enumerate("ABCD"):
        opened(world, name, number, "2022-01-05")
    for name, day in (("A", "2022-02-01"), ("B", "2022-02-10"), ("C", "2022-02-10"), ("D", "2023-02-10")):
        ended(world, name, day)
    yield world
    close(world)


def opened(world: World, name: str, offset: int, day: str) -> None:
    hit = Hit("gambling/1", "gambling", None, 3, 0, 2, "赌球", 0.9, "test/1")
    content = ContentFinding(
        "app", "chat#1", offset, name, "content", f"u{name}", "text", f"赌球 {name}", at(day), (hit,)
    )
    ready = prepare(world.store.bodies, [content], now=at(day))
    with world.catalogue.write() as connection:
        open_or_extend(connection, ready)
    # The purge's clock is compared with the events': they have the machine's time.
    world.execute(events.update().where(events.c.at > "2026-06").values(at=timestamp(at(day))))


def ended(world: World, name: str, day: str) -> None:
    world.execute(
        tickets.update().where(tickets.c.content_id == name).values(state="closed", closed_at=f"{day}T04:00:00.000000Z")
    )


def number(world: World, name: str) -> str:
    with world.catalogue.read() as connection:
        return str(connection.execute(sa.select(tickets.c.ticket_id).where(tickets.c.content_id == name)).scalar_one())


def said(world: World) -> dict[str, str]:
    """What each ticket's first text is; empty of one that was emptied."""
    with world.catalogue.read() as connection:
        rows = connection.execute(sa.select(tickets.c.content_id, tickets.c.ticket_id)).all()
        names = {row.ticket_id: row.content_id for row in rows}
        found = ticket_details(connection, world.store.bodies, list(names))
    return {names[one.ticket.ticket_id]: "".join(text["text"] for text in one.texts) for one in found}


def state(world: World, day: str) -> UnitState:
    return next(unit for unit in world.judge(day) if unit.record_class == "ticket_text")


def faults(world: World, day: str) -> set[str]:
    found = audit_retention(world.store, settings=world.settings, now=at(day)).faults
    return {fault.kind for fault in found + audit_keys(world.store, settings=world.settings, now=at(day)).faults}


def test_they_are_kept_until_three_years_after_the_last_ticket_of_the_month_ended(queue: World) -> None:
    key = queue.store.bodies.text_key("2022-01")
    # Half an hour into the year in Shanghai: months are the law's.
    night = "2021-12-31T16:30:00.000000Z"
    assert month_of(night) == "2022-01"
    queue.execute(tickets.update().where(tickets.c.content_id == "A").values(detected_at=night))
    kept = state(queue, "2025-02-10")
    assert (kept.key_id, kept.rows, kept.periods, kept.verdict) == (key, 4, ("2022-01",), Verdict.KEPT)
    assert [str(kept.counts_from), str(kept.expires_on)] == ["2023-02-10", "2026-02-11"]
    assert state(queue, "2026-02-11").verdict is Verdict.DUE
    with queue.catalogue.read() as connection:
        forecast = simulate(connection, date(2025, 3, 1)).classes["ticket_text"]
    assert forecast.amounts[Verdict.KEPT].records == 4
    assert forecast.longer == {"later_neighbour": 3}
    queue.execute(tickets.update().where(tickets.c.content_id == "D").values(state="disposed", closed_at=None))
    assert [reason.code for reason in state(queue, "2030-01-01").reasons] == ["ticket"]
    assert "late" not in faults(queue, "2030-01-01")
    ended(queue, "D", "2023-02-10")
    assert {"late", "key_past_period"} <= faults(queue, "2026-05-12")


def test_all_of_a_month_is_shredded_with_a_certificate(queue: World) -> None:
    with queue.catalogue.read() as connection:
        before = dict(connection.execute(sa.select(tickets.c.ticket_id, tickets.c.body)).all())  # type: ignore[arg-type]
    with pytest.raises(NothingDueError):
        planned(queue, "2025-01-20")
    made = approved(queue, "2026-02-12", classes=("ticket_text",))
    done = run(queue, made.purge_id, "2026-02-19")
    assert set(said(queue).values()) == {""}
    for name, body in before.items():
        with pytest.raises(KeyDestroyedError):
            queue.store.bodies.open(body, ticket_context(name))
    with queue.catalogue.read() as connection:
        (shown,) = ticket_details(connection, queue.store.bodies, [number(queue, "A")])
        assert (shown.user_id, shown.texts_destroyed_by) == (None, made.purge_id)
        assert connection.execute(sa.select(sa.func.count()).select_from(sketches)).scalar_one() == 0
    certificate = json.loads(str(done.certificate))
    assert certificate["records"] == 4
    assert certificate["destroyed"][0]["class"] == "ticket_text"
    assert certificate["destroyed"][0]["key_fingerprint"]
    assert faults(queue, "2026-02-19") == set()
    assert not [unit for unit in queue.judge("2026-02-19") if unit.record_class == "ticket_text"]
    # What joins one of them later has a period of its own.
    opened(queue, "A", 0, "2026-03-01")
    assert said(queue)["A"] == "赌球 A"
    assert sketch_lacking(queue.catalogue, queue.store.bodies) == (4, [])


def test_what_must_stay_is_sealed_anew_and_its_neighbours_go(queue: World) -> None:
    """Two months after the first of them ran out nobody waits for D any more."""
    with pytest.raises(NothingDueError):
        planned(queue, "2025-03-20")
    made = approved(queue, "2025-05-01", classes=("ticket_text",))
    (unit,) = made.units
    assert (unit.rows, unit.kept_rows, unit.expired_on) == (4, 1, "2025-02-11")
    run(queue, made.purge_id, "2025-05-08")
    assert said(queue) == {"A": "", "B": "", "C": "", "D": "赌球 D"}
    kept = state(queue, "2025-05-08")
    assert (kept.rows, kept.key_id) == (1, queue.store.bodies.text_key("2025-05"))
    assert str(kept.expires_on) == "2026-02-11"
    with pytest.raises(KeyDestroyedError):
        queue.store.period_keys.get(unit.key_id)
    assert faults(queue, "2025-05-08") == set()


@pytest.mark.parametrize("kind", ["ticket", "account", "span", "segment", "old"])
def test_nothing_under_a_hold_goes(queue: World, kind: str) -> None:
    ended(queue, "D", "2022-02-10")
    now = at("2025-02-20")
    if kind == "ticket":
        hold = place.hold_ticket(queue.store, CASE, number(queue, "B"), actor="ann", now=now)
    elif kind in ("account", "old"):
        hold = place.hold_account(queue.store, CASE, "uB", actor="ann", now=now)
        if kind == "old":
            queue.execute(holds.update().values(target=None))
            assert len(state(queue, "2025-03-01").reasons) == 1
            examine(queue.store, now=now)
    elif kind == "span":
        queue.execute(tickets.update().where(tickets.c.content_id != "B").values(event_time="2021-01-01"))
        hold = place.hold_span(
            queue.store, CASE, since=at("2022-01-01"), until=at("2022-02-01"), record_class="content", actor="ann",
            now=now,
        )  # fmt: skip
    else:
        (segment,) = queue.ingest([{"event_time": at("2022-01-05"), "user_id": "x", "text": "t"}], "content")
        where = tickets.c.content_id == "B"
        spot = segment.places[0]
        queue.execute(
            tickets.update().where(where).values(source=spot.source, partition=spot.partition, offset=spot.start)
        )
        hold = place.hold_segments_named(queue.store, CASE, [segment.segment_id], actor="ann", now=now)
    held = state(queue, "2025-03-01")
    assert (held.verdict, [reason.code for reason in held.reasons]) == (Verdict.HELD, ["hold"])
    made = approved(queue, "2025-05-01", classes=("ticket_text",))
    run(queue, made.purge_id, "2025-05-08")
    assert said(queue) == {"A": "", "B": "赌球 B", "C": "", "D": ""}
    release(queue.store, hold, reason="over", proof=b"judgement", actor="ben", now=at("2025-05-09"))
    assert state(queue, "2025-05-10").verdict is Verdict.DUE


def test_a_hold_or_a_step_after_the_plan_keeps_what_it_concerns(queue: World) -> None:
    ended(queue, "D", "2022-02-10")
    made = approved(queue, "2025-05-01", classes=("ticket_text",))
    place.hold_ticket(queue.store, CASE, number(queue, "B"), actor="ann", now=at("2025-05-02"))
    queue.execute(tickets.update().where(tickets.c.content_id == "C").values(state="appealed"))
    run(queue, made.purge_id, "2025-05-08")
    assert said(queue) == {"A": "", "B": "赌球 B", "C": "赌球 C", "D": ""}
    (unit,) = read_purge(queue.catalogue, made.purge_id).units
    assert unit.kept_rows == 2


def test_stopped_at_every_step_it_goes_on(queue: World) -> None:
    made = approved(queue, "2025-05-01", classes=("ticket_text",))
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
            shown = said(queue)
            assert shown["D"] == "赌球 D"
            assert len({shown[name] for name in "ABC"} - {f"赌球 {name}" for name in "ABC"}) in {0, 1}
        else:
            break
    assert json.loads(str(done.certificate))["records"] == 3
    assert len(seen) >= 4
    assert faults(queue, "2025-05-08") == set()


def test_audits_find_what_went_wrongly(queue: World) -> None:
    made = approved(queue, "2026-02-12", classes=("ticket_text",))
    run(queue, made.purge_id, "2026-02-19")
    for change, kind in (
        (purges.update().values(started_at="2022-06-01T00:00:00.000000Z"), "early"),
        (purges.update().values(approved_by="ann"), "one_person"),
        (tickets.update().values(texts_gone="P0"), "destroyed_without_purge"),
        (tickets.update().values(texts_gone=None, text_key="gone"), "early"),
    ):
        queue.execute(change)
        assert kind in faults(queue, "2026-02-19")


def test_texts_from_before_there_were_such_keys_get_them(queue: World) -> None:
    with queue.catalogue.read() as connection:
        ids = [row.ticket_id for row in connection.execute(sa.select(tickets))]
    for name in ids:
        sealed = queue.store.bodies.seal(
            b'{"texts":[{"field":"text","text":"x","offset":0}],"user_id":null}', ticket_context(name)
        )
        queue.execute(tickets.update().where(tickets.c.ticket_id == name).values(body=sealed, text_key=None))
    assert not [unit for unit in queue.judge("2025-03-01") if unit.record_class == "ticket_text"]
    damaged = number(queue, "B")
    with queue.catalogue.read() as connection:
        body = connection.execute(sa.select(tickets.c.body).where(tickets.c.ticket_id == damaged)).scalar_one()
    queue.execute(tickets.update().where(tickets.c.ticket_id == damaged).values(body=body[:-1] + bytes([body[-1] ^ 1])))
    assert seal_lacking(queue.catalogue, queue.store.bodies) == (3, [damaged])
    assert seal_lacking(queue.catalogue, queue.store.bodies) == (0, [damaged])
    queue.execute(tickets.update().where(tickets.c.ticket_id == damaged).values(body=body))
    assert seal_lacking(queue.catalogue, queue.store.bodies) == (1, [])
    assert seal_lacking(queue.catalogue, queue.store.bodies) == (0, [])
    assert state(queue, "2025-03-01").rows == 4
    assert set(said(queue).values()) == {"x"}


def test_what_another_process_sealed_stays_with_its_ticket(queue: World) -> None:
    """A note of an open ticket of March under January's key: its writer could not open March's."""
    opened(queue, "E", 9, "2022-03-05")
    name, bodies = number(queue, "E"), queue.store.bodies
    january = bodies.text_key("2022-01")
    moment = timestamp(at("2022-03-06"))
    sealed = bodies.seal("看过".encode(), note_context(name, moment), under=january)
    queue.execute(notes.insert().values(ticket_id=name, at=moment, actor="user:wang", body=sealed))
    made = approved(queue, "2026-02-12", classes=("ticket_text",))
    assert [unit.key_id for unit in made.units] == [january]
    run(queue, made.purge_id, "2026-02-19")
    with queue.catalogue.read() as connection:
        body = connection.execute(sa.select(notes.c.body).where(notes.c.ticket_id == name)).scalar_one()
    assert bodies.open(body, note_context(name, moment)) == "看过".encode()
    with pytest.raises(KeyDestroyedError):
        bodies.open(sealed, note_context(name, moment))
    assert said(queue)["E"] == "赌球 E"
    assert "early" not in faults(queue, "2026-02-19")


def test_damaged_tickets_keep_nobody_waiting(queue: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickets.retaining._LOOK_UP", 1)
    for offset, name in enumerate("EF"):
        opened(queue, name, 20 + offset, "2022-03-05")
    queue.execute(tickets.update().values(text_key=None))
    queue.execute(tickets.update().where(tickets.c.content_id.in_(list("ABCD"))).values(body=b"damaged"))
    wrong = sorted(number(queue, name) for name in "ABCD")
    found = seal_lacking(queue.catalogue, queue.store.bodies)
    assert (found[0], sorted(found[1])) == (2, wrong)
    found = seal_lacking(queue.catalogue, queue.store.bodies)
    assert (found[0], sorted(found[1])) == (0, wrong)


def test_what_was_dismissed_as_a_text_dismissed_before_ended_when_it_was_found(queue: World) -> None:
    # As opening leaves it: dismissed at once, and nobody triaged or closed it.
    values = {"state": "dismissed", "closed_at": None, "triaged_at": None}
    queue.execute(tickets.update().where(tickets.c.content_id == "D").values(**values))
    kept = state(queue, "2025-02-10")
    assert [str(kept.counts_from), str(kept.expires_on)] == ["2022-02-10", "2025-02-11"]
    queue.execute(tickets.update().values(**values))
    assert str(state(queue, "2025-02-10").counts_from) == "2022-01-05"
    assert faults(queue, "2024-02-10") == set()
    approved(queue, "2025-03-01")
