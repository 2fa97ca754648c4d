"""Holds of every kind: what they keep, from when, through compaction, until they are released with proof."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace

import pyarrow as pa
import pytest
import sqlalchemy as sa

from errors import UnreachableError
from retention.catalogue.commit import add_segments
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import events, segment_places, segments, timestamp
from retention.holds import place
from retention.holds.effect import held_segments
from retention.holds.errors import HoldReleaseError, HoldStateError, HoldTargetError, HoldUnknownError
from retention.holds.place import Matter
from retention.holds.service import enforce, examine, list_holds, release
from retention.policies.judge import Verdict
from retention.segments import open_segment, write_segment
from tests.retention.policies.world import World, at, logs

NOW = at("2026-11-24")
CASE = Matter("case 12", "lawsuit of a buyer")
TICKETS = """CREATE TABLE tickets (
    ticket_id TEXT, state TEXT, source TEXT, partition TEXT, "offset" INT, closed_at TEXT, triaged_at TEXT,
    merged_into TEXT, detected_at TEXT)"""


def held(world: World) -> dict[str, list[str]]:
    with world.catalogue.read() as connection:
        return held_segments(connection)


def free(world: World, hold_id: str) -> None:
    release(world.store, hold_id, reason="settled", proof=b"the court's order", actor="ben", now=NOW)


def test_several_matters_on_one_segment(world: World) -> None:
    (one,) = world.ingest(logs("2020-01-05"))
    (other,) = world.ingest(logs("2020-02-05"))
    first = place.hold_segments_named(world.store, CASE, [one.segment_id], actor="ann", now=NOW)
    second = place.hold_segments_named(
        world.store, Matter("case 13", "x"), [one.segment_id, other.segment_id], actor="ann", now=NOW
    )
    assert held(world) == {one.segment_id: sorted([first, second]), other.segment_id: [second]}
    states = world.judge("2026-11-24")
    assert {s.verdict for s in states} == {Verdict.HELD}
    free(world, second)
    assert held(world) == {one.segment_id: [first]}
    assert [s.verdict for s in world.judge("2026-11-24")] == [Verdict.HELD, Verdict.DUE]
    free(world, first)
    assert {s.verdict for s in world.judge("2026-11-24")} == {Verdict.DUE}
    assert list_holds(world.store) == []


def test_an_account_holds_everything_until_it_was_looked_for(world: World) -> None:
    (one,) = world.ingest([{"event_time": at("2020-01-05"), "user_id": "alice"}] * 2)
    (other,) = world.ingest([{"event_time": at("2020-02-05"), "user_id": "bob"}])
    (third,) = world.ingest(
        [{"event_time": at("2020-02-05"), "order_id": "A", "order_status": "closed", "counterparty_id": "alice"}],
        "transaction",
    )
    hold_id = place.hold_account(world.store, CASE, "alice", actor="ann", now=NOW)
    assert set(held(world)) == {one.segment_id, other.segment_id, third.segment_id}
    assert list_holds(world.store)[0].waiting == 3
    assert examine(world.store) == 3
    assert set(held(world)) == {one.segment_id, third.segment_id}
    (listed,) = list_holds(world.store, matter="case 12")
    assert (listed.rows, listed.segments, listed.waiting) == (3, 2, 0)
    assert listed.target == {"account": "alice"}
    assert list_holds(world.store, matter="case 1") == []
    # What is ingested afterwards is held until it was examined, then only if alice is in it.
    (late,) = world.ingest([{"event_time": at("2020-03-05"), "user_id": "carol"}])
    assert held(world)[late.segment_id] == [hold_id]
    assert examine(world.store) == 1
    assert late.segment_id not in held(world)
    assert examine(world.store) == 0


def test_a_span_holds_what_may_lie_in_it_and_what_comes_later(world: World) -> None:
    (one,) = world.ingest(logs("2020-01-31"))
    (two,) = world.ingest(logs("2020-02-05"), "content")
    world.ingest(logs("2020-04-05"))
    hold_id = place.hold_span(
        world.store, CASE, since=at("2020-01-20"), until=at("2020-03-01"), record_class=None, actor="ann", now=NOW
    )
    assert set(held(world)) == {one.segment_id, two.segment_id}
    (late,) = world.ingest(logs("2020-02-28"), on="2026-01-01")
    assert held(world)[late.segment_id] == [hold_id]
    free(world, hold_id)
    place.hold_span(world.store, CASE, since=None, until=None, record_class="content", actor="ann", now=NOW)
    assert set(held(world)) == {two.segment_id}


def test_a_ticket_s_records(world: World) -> None:
    (one,) = world.ingest(logs("2020-01-05", "2020-01-06"), "content")
    world.ingest(logs("2020-02-05"), "content")
    world.execute(sa.text(TICKETS))
    world.execute(
        sa.text("INSERT INTO tickets VALUES ('T1', 'closed', 'app', 'content.log#1', 10, NULL, NULL, NULL, NULL)")
    )
    hold_id = place.hold_ticket(world.store, CASE, "T1", actor="ann", now=NOW)
    assert held(world) == {one.segment_id: [hold_id]}
    with pytest.raises(HoldTargetError):
        place.hold_ticket(world.store, CASE, "T2", actor="ann", now=NOW)


def test_a_ticket_s_evidence_and_what_was_merged_into_it(world: World) -> None:
    (one,) = world.ingest(logs("2020-01-05"), "content")
    (two,) = world.ingest(logs("2020-02-05"), "content")
    world.ingest(logs("2020-03-05"), "content")
    world.execute(sa.text(TICKETS))
    for name, place_, into in (("T1", 0, None), ("T2", 10, "T1"), ("T3", 20, None)):
        world.execute(
            sa.text(
                "INSERT INTO tickets VALUES (:n, 'closed', 'app', 'content.log#1', :p, NULL, NULL, :i, NULL)"
            ).bindparams(n=name, p=place_, i=into)
        )
    sealed = {}
    for name in ("T1", "T2", "T3"):
        rows = [{"event_time": at("2020-03-06"), "event_id": name}]
        sealed[name] = world.store.add(
            rows, record_class="evidence", source="system:evidence", partition=f"ticket:{name}"
        )
    hold_id = place.hold_ticket(world.store, CASE, "T1", actor="ann", now=NOW)
    wanted = {one.segment_id, two.segment_id, sealed["T1"].segment_id, sealed["T2"].segment_id}
    assert held(world) == {segment: [hold_id] for segment in wanted}


def test_nothing_is_merged_between_the_look_and_the_hold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = world.ingest(logs("2020-01-05"))
    looked: list[bool] = []
    found = place._found

    def look(connection: sa.Connection, places: object, what: str) -> dict[str, int]:
        looked.append(connection.get_execution_options().get("liucun_write", False))
        return found(connection, places, what)  # type: ignore[arg-type]

    monkeypatch.setattr(place, "_found", look)
    rows = pa.table({"log_source": ["app"], "log_partition": ["user_log.log#1"], "log_offset": [0]})
    hold_id = place.hold_rows(world.store, CASE, "sql", rows, actor="ann", now=NOW)
    assert looked == [True], "in the transaction that places it, which lets no other writer in"
    assert held(world) == {one.segment_id: [hold_id]}


def test_a_hold_whose_answer_was_lost_is_placed_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = world.ingest(logs("2020-01-05"))
    once = place.retried

    def lost(catalogue: Catalogue, work: Callable[[], None]) -> None:
        def first() -> None:
            work()
            if not done:
                done.append(True)
                raise UnreachableError("The server went away after its commit.", cure="-")

        done: list[bool] = []
        once(catalogue, first)

    monkeypatch.setattr(place, "retried", lost)
    hold_id = place.hold_segments_named(world.store, CASE, [one.segment_id], actor="ann", now=NOW)
    assert held(world) == {one.segment_id: [hold_id]}
    with world.catalogue.read() as connection:
        kinds = list(connection.execute(sa.select(events.c.kind)).scalars())
    assert kinds.count("hold.placed") == 1


def test_a_query_s_result(world: World) -> None:
    from retention.query.render import renderer
    from retention.query.run import run_query

    (one,) = world.ingest(logs("2020-01-05", "2020-01-06"))
    world.ingest(logs("2020-02-05"))
    sql = "SELECT log_source, log_partition, log_offset FROM user_logs WHERE user_id = 'u1'"
    results: list[pa.Table] = []

    def render(table: pa.Table):
        results.append(table)
        return renderer("json", "UTC")(table)

    run_query(world.store, sql, purpose="case 12", actor="ann", render=render)
    hold_id = place.hold_rows(world.store, CASE, sql, results[0], actor="ann", now=NOW)
    assert held(world) == {one.segment_id: [hold_id]}
    (listed,) = list_holds(world.store)
    assert (listed.rows, listed.target) == (1, {"sql": sql})
    with pytest.raises(HoldTargetError, match="log_offset"):
        place.hold_rows(world.store, CASE, sql, results[0].drop(["log_offset"]), actor="ann", now=NOW)
    with pytest.raises(HoldTargetError, match="no record"):
        place.hold_rows(world.store, CASE, sql, results[0].slice(0, 0), actor="ann", now=NOW)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("log_offset", ["x"]),
        ("log_offset", [None]),
        ("log_offset", [1.5]),
        ("log_offset", [10**30]),
        ("log_offset", [NOW.date()]),
        ("log_source", [[1]]),
        ("log_source", [None]),
        ("log_partition", [{"a": 1}]),
    ],
)
def test_a_query_s_result_that_names_no_places_is_refused(world: World, name: str, values: list[object]) -> None:
    world.ingest(logs("2020-01-05"))
    given = {"log_source": ["app"], "log_partition": ["user_log.log#1"], "log_offset": [0], name: values}
    rows = pa.table({column: decimals(found) for column, found in given.items()})
    with pytest.raises(HoldTargetError, match=name):
        place.hold_rows(world.store, CASE, "sql", rows, actor="ann", now=NOW)
    assert list_holds(world.store) == []


def decimals(values: list[object]) -> pa.Array:
    """Numbers past 64 bits as DuckDB hands them out."""
    return pa.array(values, pa.decimal128(38, 0) if values == [10**30] else None)


def test_who_takes_over_held_rows_is_held(world: World) -> None:
    (one,) = world.ingest(logs("2020-01-05"))
    (two,) = world.ingest(logs("2020-01-06"))
    hold_id = place.hold_segments_named(world.store, CASE, [one.segment_id], actor="ann", now=NOW)
    world.follow()
    merged = pa.concat_tables([open_segment(world.store.archive, m).parquet().read() for m in (one, two)])
    heir = write_segment(
        world.store.archive,
        merged,
        record_class="user_log",
        period="2020-01",
        places=(*one.places, *two.places),
        replaces=(one.segment_id, two.segment_id),
    )
    with world.catalogue.write() as connection:
        for old in (one, two):
            connection.execute(segment_places.delete().where(segment_places.c.segment_id == old.segment_id))
            connection.execute(segments.delete().where(segments.c.segment_id == old.segment_id))
        add_segments(connection, (heir,), timestamp(at("2020-02-01")))
    assert held(world) == {heir.segment_id: [hold_id]}
    state = world.one("2026-11-24")
    assert state.verdict is Verdict.HELD
    assert state.rows == 2
    assert held(world) == {heir.segment_id: [hold_id]}


def test_a_release_needs_a_reason_and_a_document_and_is_recorded(world: World) -> None:
    (one,) = world.ingest(logs("2020-01-05"))
    hold_id = place.hold_segments_named(world.store, CASE, [one.segment_id], actor="ann", now=NOW)
    for reason, proof in (("", b"x"), ("done", b"")):
        with pytest.raises(HoldReleaseError):
            release(world.store, hold_id, reason=reason, proof=proof, actor="ben", now=NOW)
    free(world, hold_id)
    (told,) = list_holds(world.store, released=True)
    assert (told.released_by, told.release_reason) == ("ben", "settled")
    assert told.proof == world.store.archive.suite.hash(b"the court's order").hex()
    with pytest.raises(HoldStateError):
        free(world, hold_id)
    with pytest.raises(HoldUnknownError):
        free(world, "H0")
    with world.catalogue.read() as connection:
        trail = connection.execute(
            sa.select(events.c.kind, events.c.actor, events.c.subject).where(events.c.kind.like("hold.%"))
        ).all()
    assert [tuple(row) for row in trail] == [
        ("hold.placed", "ann", f"hold:{hold_id}"),
        ("hold.released", "ben", f"hold:{hold_id}"),
    ]


def test_wrong_targets_are_refused_and_hold_nothing(world: World) -> None:
    world.ingest(logs("2020-01-05"))
    with pytest.raises(HoldTargetError):
        place.hold_segments_named(world.store, CASE, ["nothing"], actor="ann", now=NOW)
    with pytest.raises(HoldTargetError):
        place.hold_segments_named(world.store, CASE, [], actor="ann", now=NOW)
    with pytest.raises(HoldTargetError):
        place.hold_account(world.store, CASE, " ", actor="ann", now=NOW)
    with pytest.raises(HoldTargetError):
        place.hold_account(world.store, Matter("", "x"), "alice", actor="ann", now=NOW)
    for since, until, name in ((NOW, NOW, None), (None, None, "wishes")):
        with pytest.raises(HoldTargetError):
            place.hold_span(world.store, CASE, since=since, until=until, record_class=name, actor="ann", now=NOW)
    assert held(world) == {}


def test_no_name_stands_in_the_database(world: World) -> None:
    world.ingest([{"event_time": at("2020-01-05"), "user_id": "SECRET-ALICE"}])
    place.hold_account(world.store, Matter("SECRET-CASE", "SECRET-REASON"), "SECRET-ALICE", actor="ann", now=NOW)
    examine(world.store)
    for path in world.store.root.rglob("*"):
        if path.is_file():
            assert b"SECRET" not in path.read_bytes(), path


class LockingFolder:
    """A folder with legal holds, told apart from the store's own bookkeeping."""

    def __init__(self, objects) -> None:  # type: ignore[no-untyped-def]
        self.objects, self.on = objects, set()

    def lock(self, name: str, until: datetime) -> None: ...

    def locked_until(self, name: str) -> datetime | None:
        return None

    def hold(self, name: str, on: bool) -> None:
        assert self.objects.exists(name)
        (self.on.add if on else self.on.remove)(name)

    def exists(self, name: str) -> bool:
        return self.objects.exists(name)

    def held(self, name: str) -> bool:
        return name in self.on


def test_the_object_store_s_own_holds_follow_ours(world: World) -> None:
    (one,) = world.ingest([{"event_time": at("2020-01-05"), "user_id": "alice"}])
    (two,) = world.ingest([{"event_time": at("2020-02-05"), "user_id": "bob"}])
    assert enforce(world.store) == (0, 0)
    locking = LockingFolder(world.store.objects)
    parts = SimpleNamespace(
        catalogue=world.catalogue, archive=world.store.archive, bodies=world.store.bodies, objects=locking
    )
    account = place.hold_account(parts, CASE, "alice", actor="ann", now=NOW)
    span = place.hold_span(parts, CASE, since=None, until=None, record_class="user_log", actor="ann", now=NOW)
    assert enforce(parts) == (2, 0)
    assert locking.on == {one.object_name, two.object_name}
    assert enforce(parts) == (0, 0)
    release(parts, span, reason="x", proof=b"x", actor="ben", now=NOW)
    assert enforce(parts) == (0, 1)
    assert locking.on == {one.object_name}
    release(parts, account, reason="x", proof=b"x", actor="ben", now=NOW)
    assert enforce(parts) == (0, 1)
    assert locking.on == set()
