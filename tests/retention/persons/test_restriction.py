"""Restricted accounts are out of every query without a legal ground, and nothing about them is lost."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
import sqlalchemy as sa

from retention.catalogue.tables import events
from retention.persons.errors import RestrictionError
from retention.persons.restriction import (
    account_blind,
    lift,
    list_restrictions,
    restrict,
    restricted_accounts,
    without_restricted,
)
from retention.query.errors import QueryRefusedError
from retention.query.render import renderer
from retention.query.run import open_words, run_query
from tests.retention.policies.world import World, at

NOW = at("2026-11-24")


def ask(world: World, sql: str, basis: str | None = None) -> list[dict[str, object]]:
    answer = run_query(world.store, sql, purpose="test", actor="ann", render=renderer("json", "UTC"), basis=basis)
    return json.loads(answer.data)  # type: ignore[no-any-return]


def users(world: World, view: str = "user_logs", basis: str | None = None) -> set[object]:
    return {row["user_id"] for row in ask(world, f"SELECT user_id FROM {view}", basis)}


def restricted(world: World, account: str = "alice") -> str:
    return restrict(world.store, account, ground="art. 47", actor="ann", now=NOW)


def test_out_of_queries_until_lifted(world: World) -> None:
    assert users(world) == {"alice", "bob", None}
    restricted(world)
    assert users(world) == {"bob", None}
    # As counterparty too.
    assert ask(world, "SELECT order_id FROM transactions") == [{"order_id": "C"}]
    assert users(world, basis="个人信息保护法 第四十五条") == {"alice", "bob", None}
    lift(world.store, "alice", reason="withdrawn", actor="ben", now=NOW)
    assert users(world) == {"alice", "bob", None}


def test_tickets_about_them_leave_the_view_too(world: World) -> None:
    blinds = {name: account_blind(world.store.bodies, name) for name in ("alice", "bob")}
    world.execute(sa.text("CREATE TABLE tickets (ticket_id TEXT, account_blind TEXT)"))
    for number, blind in (("T1", blinds["alice"]), ("T2", blinds["bob"]), ("T3", None)):
        world.execute(sa.text("INSERT INTO tickets VALUES (:n, :b)").bindparams(n=number, b=blind))

    def shown(basis: str | None = None) -> set[object]:
        return {row["ticket_id"] for row in ask(world, "SELECT ticket_id FROM tickets", basis)}

    assert shown() == {"T1", "T2", "T3"}
    restricted(world)
    assert shown() == {"T2", "T3"}
    assert shown("个人信息保护法 第四十五条") == {"T1", "T2", "T3"}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT count(*) AS n FROM user_logs", 2),
        ("SELECT count(*) AS n FROM user_logs WHERE user_id = 'alice'", 0),
        ("SELECT count(*) AS n FROM user_logs WHERE user_id = 'alice' OR true", 2),
        ("SELECT count(*) AS n FROM user_logs WHERE event_time >= '2026-01-01'", 2),
        ("SELECT count(*) AS n FROM user_logs WHERE source_ip = '10.0.0.1'", 0),
        ("SELECT count(DISTINCT source_ip) AS n FROM user_logs", 0),
        ("WITH x AS (SELECT * FROM user_logs) SELECT count(*) AS n FROM x a JOIN x b USING (log_offset)", 2),
        ("SELECT count(*) AS n FROM (SELECT user_id FROM user_logs UNION ALL SELECT user_id FROM transactions)", 3),
    ],
)
def test_no_shape_of_query_reaches_them(world: World, sql: str, expected: int) -> None:
    restricted(world)
    assert ask(world, sql) == [{"n": expected}]


def test_the_ground_is_recorded_sealed(world: World) -> None:
    restricted(world)
    with pytest.raises(QueryRefusedError):
        users(world, basis=" ")
    users(world, basis="case 12")
    with world.catalogue.read() as connection:
        row = connection.execute(
            sa.select(events).where(events.c.kind == "query.started").order_by(events.c.id.desc()).limit(1)
        ).one()
    body = json.loads(row.body)
    assert body["restricted"] is True
    assert "case 12" not in row.body
    assert open_words(world.store.bodies, row.subject.removeprefix("query:"), body["sealed"])["basis"] == "case 12"


def test_many_restrictions_and_quotes(world: World) -> None:
    for n in range(200):
        restricted(world, f"o'{n}\\")
    restricted(world, "bob")
    assert len(restricted_accounts(world.store)) == 201
    assert users(world) == {"alice", None}


def test_restricting_twice_and_lifting_none_is_said(world: World) -> None:
    restricted(world)
    with pytest.raises(RestrictionError, match="already"):
        restricted(world)
    with pytest.raises(RestrictionError):
        restricted(world, " ")
    with pytest.raises(RestrictionError):
        restrict(world.store, "carol", ground="", actor="ann", now=NOW)
    with pytest.raises(RestrictionError):
        lift(world.store, "alice", reason="", actor="ann", now=NOW)
    lift(world.store, "alice", reason="x", actor="ann", now=NOW)
    with pytest.raises(RestrictionError, match="not restricted"):
        lift(world.store, "alice", reason="x", actor="ann", now=NOW)
    restricted(world)
    assert sorted(r.state for r in list_restrictions(world.store, lifted=True)) == ["active", "lifted"]


def test_why_it_was_lifted_is_kept_sealed(world: World) -> None:
    restricted(world)
    lift(world.store, "alice", reason="SECRET-REASON 撤回", actor="ben", now=NOW)
    restricted(world)
    told = {r.state: r.lift_reason for r in list_restrictions(world.store, lifted=True)}
    assert told == {"active": None, "lifted": "SECRET-REASON 撤回"}
    for path in world.store.root.rglob("*"):
        if path.is_file():
            assert b"SECRET" not in path.read_bytes(), path
    # One from before reasons were kept.
    world.execute(events.update().where(events.c.kind == "restriction.lifted").values(body='{"reason_digest": "00"}'))
    assert {r.lift_reason for r in list_restrictions(world.store, lifted=True)} == {None}


def test_no_account_stands_in_the_database(world: World) -> None:
    restricted(world, "SECRET-CAROL")
    for path in world.store.root.rglob("*"):
        if path.is_file():
            assert b"SECRET" not in path.read_bytes(), path


def test_what_backtests_and_training_see() -> None:
    table = pa.table({"user_id": ["a", "b", None, "c"], "counterparty_id": [None, "a", None, "d"], "n": [1, 2, 3, 4]})
    accounts = pa.array(["a"], pa.string())
    assert without_restricted(table, accounts).column("n").to_pylist() == [3, 4]
    assert without_restricted(table.drop(["counterparty_id"]), accounts).column("n").to_pylist() == [2, 3, 4]
    assert without_restricted(table.select(["n"]), accounts).num_rows == 4
    assert without_restricted(table, pa.array([], pa.string())) is table
