"""Requests of persons: clocks, answers, what a deletion request does at once, and the copy that is handed over."""

from __future__ import annotations

import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from retention.catalogue.tables import events
from retention.persons import requests, restriction
from retention.persons.copy import deletion_outlook, person_copy
from retention.persons.errors import RequestStateError, RequestUnknownError, RestrictionError
from retention.persons.requests import Kind, Outcome, answer, list_requests, read_request, receive
from retention.persons.restriction import list_restrictions, restrict
from retention.policies import book
from retention.policies.model import Rank
from retention.policies.periods import CalendarPeriod
from tests.retention.policies.world import World, at

NOW = at("2026-11-24")
TODAY = date(2026, 11, 24)


def enter(world: World, kind: Kind, account: str = "alice", received: str | None = None) -> str:
    return receive(
        world.store, kind, account, text="please", actor="ann", now=NOW, settings=world.settings,
        received_at=at(received) if received else None,
    )  # fmt: skip


def test_the_clock(world: World) -> None:
    late = enter(world, Kind.ACCESS, received="2026-11-08")
    last = enter(world, Kind.COPY, received="2026-11-09")
    new = enter(world, Kind.CORRECTION)
    listed = list_requests(world.store, TODAY)
    assert [(r.request_id, r.days_left, r.overdue) for r in listed] == [
        (late, -1, True),
        (last, 0, False),
        (new, 15, False),
    ]
    answer(world.store, late, Outcome.GRANTED, text="here it is", actor="ben", now=NOW)
    with pytest.raises(RequestStateError):
        answer(world.store, late, Outcome.GRANTED, text="again", actor="ben", now=NOW)
    assert [r.request_id for r in list_requests(world.store, TODAY)] == [last, new]
    found = read_request(world.store, late, TODAY)
    assert (found.outcome, found.answer, found.answered_by, found.overdue) == ("granted", "here it is", "ben", False)
    with world.catalogue.read() as connection:
        body = connection.execute(sa.select(events.c.body).where(events.c.kind == "request.answered")).scalar_one()
    assert json.loads(body) == {"late": True, "outcome": "granted"}


def test_a_deletion_request_restricts_at_once(world: World) -> None:
    made = enter(world, Kind.DELETION)
    (found,) = list_restrictions(world.store)
    assert (found.account, found.request_id) == ("alice", made)
    # Once more, or after a restriction by hand: no second restriction.
    enter(world, Kind.DELETION)
    restrict(world.store, "bob", ground="x", actor="ann", now=NOW)
    enter(world, Kind.DELETION, "bob")
    assert len(list_restrictions(world.store)) == 2
    outlook = {o.record_class: o for o in deletion_outlook(world.store, "alice", purpose="x", actor="ann", today=TODAY)}
    assert {name: o.records for name, o in outlook.items()} == {"user_log": 1, "transaction": 2}
    assert outlook["transaction"].statutory
    assert "电子商务法" in outlook["transaction"].basis
    assert not outlook["user_log"].statutory
    assert (outlook["user_log"].statutory_period, outlook["transaction"].statutory_period) == ("P6M", "P3Y")
    assert (outlook["transaction"].first_on, outlook["transaction"].last_on) == ("2026-01-05", "2026-02-05")


def test_the_law_s_period_outweighs_a_request_also_within_a_longer_one_of_the_company_s(world: World) -> None:
    wanted = {"ceiling": None, "basis": "company policy", "actor": "user:ann", "now": at("2026-10-01")}
    asked = book.propose(
        world.catalogue, "transaction", floor=CalendarPeriod.parse("P5Y"), rank=Rank.DESIGN, **wanted
    )  # fmt: skip
    book.approve(
        world.catalogue, "transaction", asked.policy.version, actor="user:ben", now=at("2026-10-02"),
        settings=world.settings,
    )  # fmt: skip
    found = {o.record_class: o for o in deletion_outlook(world.store, "alice", purpose="x", actor="ann", today=TODAY)}
    one = found["transaction"]
    assert (one.kept_for, one.statutory, one.statutory_period) == ("P5Y", False, "P3Y")


def test_a_deletion_request_and_its_restriction_are_one_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in between, there is neither: no request for deletion waits while the account is in use."""
    append = requests.events.append

    def stopped(connection: sa.Connection, **values: Any) -> None:
        append(connection, **values)
        if values["kind"] == "restriction.made":
            raise KeyboardInterrupt

    monkeypatch.setattr(restriction.events, "append", stopped)
    with pytest.raises(KeyboardInterrupt):
        enter(world, Kind.DELETION)
    monkeypatch.undo()
    assert list_requests(world.store, TODAY) == []
    assert list_restrictions(world.store) == []
    enter(world, Kind.DELETION)
    assert len(list_restrictions(world.store)) == 1


def test_the_copy_holds_the_person_s_own_records_and_no_other_s(world: World, tmp_path: Path) -> None:
    made = read_request(world.store, enter(world, Kind.COPY), TODAY)
    restrict(world.store, "alice", ground="x", actor="ann", now=NOW)
    copy = person_copy(world.store, made, tmp_path / "copy.zip", actor="ann", now=NOW)
    with zipfile.ZipFile(copy.path) as opened:
        names = set(opened.namelist())
        logs = json.loads(opened.read("data/user_log.json"))
        orders = json.loads(opened.read("data/transaction.json"))
        digests = json.loads(opened.read("digests.json"))
        readme = opened.read("README.txt").decode()
        suite = world.store.archive.suite
        assert digests["data/user_log.json"]["digest"] == suite.hash(opened.read("data/user_log.json")).hex()
    assert names == {"data/user_log.json", "data/transaction.json", "digests.json", "README.txt"}
    assert [row["source_ip"] for row in logs] == ["10.0.0.1"]
    assert [row["order_id"] for row in orders] == ["B"]
    assert (copy.records, copy.files) == ({"user_log": 1, "transaction": 1}, 2)
    data = copy.path.read_bytes()
    assert (copy.size, copy.digest) == (len(data), suite.hash(data).hex())
    assert digests["data/transaction.json"]["kept"] == "P3Y"
    assert made.request_id in readme
    again = person_copy(world.store, made, tmp_path / "again.zip", actor="ann", now=NOW)
    assert again.path.read_bytes() == data
    with world.catalogue.read() as connection:
        kinds = list(connection.execute(sa.select(events.c.kind)).scalars())
    assert kinds.count("request.exported") == 2


def test_wrong_use(world: World, tmp_path: Path) -> None:
    with pytest.raises(RestrictionError):
        enter(world, Kind.ACCESS, " ")
    with pytest.raises(RequestStateError):
        enter(world, Kind.ACCESS, received="2026-11-25")
    with pytest.raises(RequestUnknownError):
        answer(world.store, "Q0", Outcome.GRANTED, text="x", actor="ben", now=NOW)
    with pytest.raises(RequestUnknownError):
        read_request(world.store, "Q0", TODAY)
    made = enter(world, Kind.CORRECTION)
    with pytest.raises(RequestStateError):
        answer(world.store, made, Outcome.REFUSED, text=" ", actor="ben", now=NOW)
    with pytest.raises(RequestStateError):
        person_copy(world.store, read_request(world.store, made, TODAY), tmp_path / "c", actor="ann", now=NOW)
    assert not (tmp_path / "c").exists()


def test_hostile_account_names(world: World, tmp_path: Path) -> None:
    for number, name in enumerate(("x' OR '1'='1", "用户'; --", "a\\'b", '"', "x" * 5000)):
        made = read_request(world.store, enter(world, Kind.ACCESS, name), TODAY)
        assert person_copy(world.store, made, tmp_path / f"{number}.zip", actor="ann", now=NOW).records == {}
        assert deletion_outlook(world.store, name, purpose="x", actor="ann", today=TODAY) == []


def test_no_account_or_word_stands_in_the_database(world: World) -> None:
    made = receive(
        world.store, Kind.DELETION, "SECRET-CAROL", text="SECRET-WISH", actor="ann", now=NOW, settings=world.settings
    )
    answer(world.store, made, Outcome.PARTLY, text="SECRET-ANSWER", actor="ben", now=NOW)
    for path in world.store.root.rglob("*"):
        if path.is_file():
            assert b"SECRET" not in path.read_bytes(), path
