"""What may go when: floors by class, orders that end later, what cannot be known keeps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from retention.audits.days import count_days
from retention.policies.decisions import approve_end, count_silent, propose_end, silent
from retention.policies.errors import PolicyStateError, PolicyUnknownError
from retention.policies.follow import follow
from retention.policies.judge import Verdict, judge, ticket_segments
from retention.policies.simulate import simulate
from retention.policies.tables import segment_subjects, subjects, unit_segments
from retention.second_person import SecondPersonError
from tests.retention.policies.world import World, at, logs, order

TICKETS = """CREATE TABLE tickets (
    ticket_id TEXT, state TEXT, source TEXT, partition TEXT, "offset" INT, closed_at TEXT, triaged_at TEXT,
    merged_into TEXT, detected_at TEXT)"""


def codes(state) -> list[str]:
    return [reason.code for reason in state.reasons]


def test_a_month_goes_when_its_last_day_s_year_is_over(world: World) -> None:
    world.ingest(logs("2024-02-01", "2024-02-29"))
    assert world.one("2025-02-28").verdict is Verdict.KEPT
    due = world.one("2025-03-01")
    assert due.verdict is Verdict.DUE
    assert (due.expires_on, due.counts_from) == (date(2025, 3, 1), date(2024, 2, 29))
    assert (due.rows, len(due.segments)) == (2, 1)
    assert due.bytes_stored > 0
    assert due.ceiling_on == date(2025, 5, 30)


def test_a_record_at_the_end_of_the_year_belongs_to_its_shanghai_month(world: World) -> None:
    late = datetime(2024, 12, 31, 15, 59, 59, tzinfo=UTC)
    early = datetime(2024, 12, 31, 16, 0, 0, tzinfo=UTC)
    world.ingest([{"event_time": late}, {"event_time": early}])
    states = world.judge("2026-01-01")
    assert [(s.periods, s.verdict) for s in states] == [(("2024-12",), Verdict.DUE), (("2025-01",), Verdict.KEPT)]


def test_nothing_goes_within_sixty_days_of_ingest(world: World) -> None:
    world.ingest(logs("2020-05-05"), on="2026-09-01")
    assert codes(world.one("2026-10-31")) == ["young"]
    assert world.one("2026-11-01").verdict is Verdict.DUE


def test_an_order_counts_from_completion_that_arrives_later(world: World) -> None:
    world.ingest([order("A", "created", "2023-01-05")], "transaction")
    assert codes(world.one("2033-01-01")) == ["open_subjects"]
    world.ingest([order("A", "completed", "2023-03-10")], "transaction")
    first, second = world.judge("2026-03-10")
    assert (first.expires_on, second.expires_on) == (date(2026, 3, 11), date(2026, 3, 11))
    assert {s.verdict for s in world.judge("2026-03-10")} == {Verdict.KEPT}
    assert {s.verdict for s in world.judge("2026-03-11")} == {Verdict.DUE}


@pytest.mark.parametrize(
    ("records", "expires"),
    [
        # Completed by a column, whatever the status says; the later of the two times counts.
        ([("shipped", "2023-01-05", "2023-02-01")], "2026-02-02"),
        ([("shipped", "2023-01-05", "2022-12-01")], "2026-01-06"),
        # After-sales events extend, of whatever kind.
        ([("completed", "2023-01-05", None), ("refund_requested", "2023-04-01", None)], "2026-04-02"),
        ([("completed", "2023-01-05", None), ("投诉", "2023-05-01", None)], "2026-05-02"),
        ([("completed", "2023-01-05", None), ("refunded", "2023-06-01", None)], "2026-06-02"),
        # In Chinese, in capitals, with spaces.
        ([(" 交易完成 ", "2023-01-05", None)], "2026-01-06"),
        ([("COMPLETED", "2024-02-29", None)], "2027-03-01"),
        # Reopened after it ended: open again, until it ends again.
        ([("cancelled", "2023-01-05", None), ("paid", "2023-02-05", None)], None),
        (
            [("cancelled", "2023-01-05", None), ("paid", "2023-02-05", None), ("completed", "2023-03-05", None)],
            "2026-03-06",
        ),
        # Never ended.
        ([("created", "2023-01-05", None)], None),
        ([("partially_refunded", "2023-01-05", None)], None),
        ([("payment success", "2023-01-05", None)], None),
        ([(None, "2023-01-05", None)], None),
        # An end far in the future keeps as long as the calendar goes.
        ([("shipped", "2023-01-05", "9999-12-01")], "9999-12-31"),
    ],
)  # fmt: skip
def test_when_an_order_ends(world: World, records, expires: str | None) -> None:
    rows = [
        order("A", status, day, transaction_completed_at=at(done) if done else None) for status, day, done in records
    ]
    world.ingest(rows, "transaction", on="2024-06-01")
    last = world.judge("2024-07-01")[-1]
    assert last.expires_on == (date.fromisoformat(expires) if expires else None)


def test_the_order_of_arrival_does_not_matter(world: World) -> None:
    world.ingest([order("A", "completed", "2023-03-10")], "transaction", on="2023-03-10")
    world.judge("2024-01-01")
    world.ingest([order("A", "created", "2023-01-05")], "transaction", on="2023-05-01")
    assert {s.expires_on for s in world.judge("2024-01-01")} == {date(2026, 3, 11)}


def test_one_open_order_keeps_its_unit_and_that_is_measured(world: World) -> None:
    rows = [order(f"A{n}", "completed", "2023-01-05") for n in range(9)]
    world.ingest([*rows, order("B", "paid", "2023-01-06")], "transaction")
    world.follow()
    with world.catalogue.read() as connection:
        found = simulate(connection, date(2026, 6, 1), settings=world.settings)
    assert found.classes["transaction"].longer == {"open_neighbour": 9}
    assert found.classes["transaction"].amounts[Verdict.KEPT].records == 10
    assert found.as_json()["classes"]["transaction"]["reasons"] == {"open_subjects": 1}  # type: ignore[index]


def test_records_without_an_order_never_go_by_themselves(world: World) -> None:
    world.ingest([order("", "completed", "2023-01-05"), order(None, "created", "2023-01-05")], "transaction")  # type: ignore[arg-type]
    assert codes(world.one("2040-01-01")) == ["open_subjects"]
    with world.catalogue.read() as connection:
        (one,) = silent(connection, date(2024, 1, 1), 180)
    assert one.records == 2


def test_what_is_left_out_of_a_list_is_counted(world: World) -> None:
    world.ingest([order(f"o{n}", "paid", "2023-01-05") for n in range(3)], "transaction")
    world.ingest([order(f"o{n}", "paid", "2023-02-05") for n in range(2)], "transaction")
    world.follow()
    with world.catalogue.read() as connection:
        assert len(silent(connection, date(2024, 1, 1), 180, limit=2)) == 2
        assert count_silent(connection, date(2024, 1, 1), 180) == (3, "2023-01-05")


def test_silent_orders_are_listed_and_two_people_close_one(world: World) -> None:
    world.ingest([order("A", "paid", "2023-01-05"), order("B", "paid", "2023-01-20")], "transaction")
    world.follow()
    now = at("2023-07-10")
    with world.catalogue.read() as connection:
        (found,) = silent(connection, date(2023, 7, 10), 180)
        assert count_silent(connection, date(2023, 7, 10), 180) == (1, found.news_on)
        assert count_silent(connection, date(2023, 1, 1), 180) == (0, None)
    assert (found.news_on, found.records) == ("2023-01-05", 1)
    for day, error in (("2023-01-04", PolicyStateError), ("2023-07-11", PolicyStateError)):
        with pytest.raises(error):
            propose_end(
                world.store, "transaction", "A", ended_on=date.fromisoformat(day), reason="x", actor="ann", now=now
            )
    with pytest.raises(PolicyUnknownError):
        propose_end(world.store, "transaction", "Z", ended_on=date(2023, 2, 1), reason="x", actor="ann", now=now)
    made = propose_end(
        world.store, "transaction", found.blind, ended_on=date(2023, 2, 1), reason="lost", actor="ann", now=now,
        is_blind=True,
    )  # fmt: skip
    assert codes(world.one("2030-01-01")) == ["open_subjects"]
    with pytest.raises(SecondPersonError):
        approve_end(world.store, made, actor="ann", now=now)
    approve_end(world.store, made, actor="ben", now=now)
    with pytest.raises(PolicyStateError):
        approve_end(world.store, made, actor="cid", now=now)
    b = propose_end(world.store, "transaction", "B", ended_on=date(2023, 2, 9), reason="x", actor="ann", now=now)
    approve_end(world.store, b, actor="ben", now=now)
    assert world.one("2030-01-01").expires_on == date(2026, 2, 10)
    # A sign of life afterwards opens it again.
    world.ingest([order("B", "paid", "2023-08-01")], "transaction")
    assert {s.expires_on for s in world.judge("2030-01-01")} == {None}
    # It can be decided again; and what was decided outlives the index, which is built from the records alone.
    c = propose_end(
        world.store, "transaction", "B", ended_on=date(2023, 9, 1), reason="x", actor="ann", now=at("2023-10-01")
    )
    approve_end(world.store, c, actor="ben", now=at("2023-10-01"))
    before = world.judge("2030-01-01")
    assert {s.expires_on for s in before} == {date(2026, 9, 2)}
    for table in (segment_subjects, unit_segments, subjects):
        world.execute(sa.delete(table))
    assert [s.expires_on for s in world.judge("2030-01-01")] == [s.expires_on for s in before]


def test_a_segment_not_yet_read_keeps_its_class(world: World) -> None:
    world.ingest([order("A", "completed", "2023-01-05")], "transaction")
    assert world.one("2026-06-01").verdict is Verdict.DUE
    world.ingest([order("A", "refund_requested", "2025-01-05")], "transaction")
    from retention.policies.judge import judge

    with world.catalogue.read() as connection:
        (state,) = judge(connection, date(2026, 6, 1))
    assert codes(state) == ["unread"]


def test_following_twice_changes_nothing(world: World) -> None:
    world.ingest([order(f"A{n}", "paid", "2023-01-05") for n in range(50)], "transaction")
    world.ingest(logs("2023-01-05"))
    assert follow(world.store).segments == 2
    with world.catalogue.read() as connection:
        before = connection.execute(sa.select(subjects).order_by(subjects.c.blind)).all()
    assert follow(world.store).segments == 0
    world.execute(sa.delete(segment_subjects))
    world.execute(sa.delete(unit_segments))
    follow(world.store)
    with world.catalogue.read() as connection:
        assert connection.execute(sa.select(subjects).order_by(subjects.c.blind)).all() == before


def test_nothing_of_an_order_s_name_stands_in_the_database(world: World) -> None:
    world.ingest([order("SECRET-ORDER-77", "paid", "2023-01-05")], "transaction")
    world.follow()
    for path in world.store.root.rglob("*"):
        if path.is_file():
            assert b"SECRET-ORDER-77" not in path.read_bytes(), path


def test_an_open_ticket_keeps_the_record_s_segment(world: World) -> None:
    (manifest,) = world.ingest(logs("2020-01-05", "2020-01-06"), "content")
    world.ingest(logs("2020-02-05"), "content")
    world.execute(sa.text(TICKETS))
    world.execute(
        sa.text("INSERT INTO tickets VALUES ('T1', 'disposed', 'app', 'content.log#1', 10, NULL, NULL, NULL, NULL)")
    )
    first, second = world.judge("2026-01-01")
    assert (first.verdict, codes(first), second.verdict) == (Verdict.HELD, ["ticket"], Verdict.DUE)
    with world.catalogue.read() as connection:
        assert ticket_segments(connection) == {manifest.segment_id: 1}
    world.execute(sa.text("UPDATE tickets SET state = 'closed'"))
    assert {s.verdict for s in world.judge("2026-01-01")} == {Verdict.DUE}


def test_evidence_counts_from_the_closure_of_its_ticket(world: World) -> None:
    world.ingest([{"event_time": at("2020-01-05"), "event_id": "T1"}], "evidence")
    world.execute(sa.text(TICKETS))
    world.execute(
        sa.text("INSERT INTO tickets VALUES ('T1', 'disposed', 'app', 'content.log#1', 0, NULL, NULL, NULL, NULL)")
    )
    assert codes(world.one("2040-01-01")) == ["open_subjects"]
    world.execute(sa.text("UPDATE tickets SET state = 'closed', closed_at = '2021-05-31T16:00:00.000000Z'"))
    assert world.one("2040-01-01").expires_on == date(2024, 6, 2)
    # Opened again: it has not ended, and its evidence stays however old it is.
    world.execute(sa.text("UPDATE tickets SET state = 'triage', closed_at = NULL"))
    assert codes(world.one("2040-01-01")) == ["open_subjects"]
    world.execute(sa.text("UPDATE tickets SET state = 'closed', closed_at = '2022-05-31T16:00:00.000000Z'"))
    assert world.one("2040-01-01").expires_on == date(2025, 6, 2)


def test_what_was_merged_ends_as_the_ticket_does_that_took_it_in(world: World) -> None:
    world.ingest([{"event_time": at("2020-01-05"), "event_id": "T3"}], "evidence")
    world.execute(sa.text(TICKETS))
    # T3 is part of T2, T2 of T1; the place of T3 is that of its evidence, to see both rules on one unit.
    for name, state, closed, into in (
        ("T1", "disposed", None, None),
        ("T2", "merged", "2020-02-01T00:00:00.000000Z", "T1"),
        ("T3", "merged", "2020-02-01T00:00:00.000000Z", "T2"),
    ):
        given = sa.text("INSERT INTO tickets VALUES (:n, :s, 'app', 'evidence.log#1', 0, :c, NULL, :i, NULL)")
        world.execute(given.bindparams(n=name, s=state, c=closed, i=into))

    def ended(state: str, at_: str | None) -> list[str]:
        change = sa.text("UPDATE tickets SET state = :s, closed_at = :a WHERE ticket_id = 'T1'")
        world.execute(change.bindparams(s=state, a=at_))
        with world.catalogue.read() as connection:
            running = sum(ticket_segments(connection).values())
        assert running == (3 if at_ is None else 0)
        found = world.one("2040-01-01")
        return codes(found) if found.expires_on is None else [found.expires_on.isoformat()]

    assert "open_subjects" in ended("disposed", None)
    assert ended("closed", "2021-05-31T16:00:00.000000Z") == ["2024-06-02"]
    assert "open_subjects" in ended("triage", None), "opened again, with all that it took in"
    assert ended("reversed", "2022-05-31T16:00:00.000000Z") == ["2025-06-02"]
    world.execute(sa.text("DELETE FROM tickets WHERE ticket_id = 'T1'"))
    with world.catalogue.read() as connection:
        assert sum(ticket_segments(connection).values()) == 2, "what took it in is not known: it has not ended"


def test_what_could_not_be_read_is_kept_as_long_as_an_order(world: World) -> None:
    world.ingest(logs("2020-01-05"), "unparsed", on="2020-01-06")
    assert world.one("2023-01-31").verdict is Verdict.KEPT
    assert world.one("2023-02-01").verdict is Verdict.DUE


def test_ten_years_of_days_never_early_and_never_late(world: World) -> None:
    first = date(2023, 11, 25)
    world.ingest(logs(*[(first + timedelta(days=n)).isoformat() for n in range(0, 430, 3)]))
    for n in range(0, 3652, 13):
        day = first + timedelta(days=n)
        for state in world.judge(day):
            (period,) = state.periods
            year, month = int(period[:4]), int(period[5:])
            # Told in another way than the code does it: over with the first day of the next month, a year later.
            nxt = date(year + 1, month + 1, 1) if month < 12 else date(year + 2, 1, 1)
            assert (state.verdict is Verdict.DUE) == (day >= nxt), (period, day)


DUE = {
    "user_log": date(2025, 3, 1),
    "content": date(2025, 3, 1),
    "transaction": date(2027, 3, 1),
    "seller_identity": date(2027, 3, 1),
    "live_index": date(2028, 1, 1),
    "evidence": date(2028, 1, 1),
    "unparsed": date(2027, 3, 1),
}
"""When what the next test ingests may go, counted by hand: a year or three from 29 February or from 31 December."""


def test_ten_years_of_every_class(world: World) -> None:
    leap, silvester = "2024-02-29", "2024-12-31"
    for record_class in ("user_log", "content"):
        world.ingest(logs(leap), record_class)
    world.ingest([order("o1", "paid", "2024-02-01"), order("o1", "completed", leap)], "transaction")
    for record_class, key, begins, ends, last in (
        ("seller_identity", "user_id", "seller.joined", "seller.exited", leap),
        ("live_index", "content_id", "stream.started", "stream.ended", silvester),
    ):
        for day, action in (("2023-12-31", begins), (last, ends)):
            world.ingest([{"event_time": at(day), key: "x", "event_action": action}], record_class)
    world.ingest([{"event_time": at(leap), "event_id": "T1"}], "evidence")
    world.ingest(logs(leap), "unparsed", on=leap)
    world.execute(sa.text(TICKETS))
    closed = at(silvester, 23).isoformat().replace("+00:00", ".000000Z")
    given = sa.text("INSERT INTO tickets VALUES ('T1', 'closed', 'none', 'none', 0, :c, NULL, NULL, NULL)")
    world.execute(given.bindparams(c=closed))
    edges = {day + timedelta(days=n) for day in DUE.values() for n in (-1, 0, 1)}
    spread = {date(2024, 3, 1) + timedelta(days=311 * n) for n in range(12)}
    world.follow()
    for day in sorted(edges | spread):
        with world.catalogue.read() as connection:
            states = judge(connection, day, settings=world.settings)
        assert {state.record_class for state in states} == set(DUE)
        for state in states:
            assert (state.verdict is Verdict.DUE) == (day >= DUE[state.record_class]), (state.record_class, day)


def test_what_outlives_its_own_year_is_counted_with_its_reason(world: World) -> None:
    world.ingest(logs("2024-02-05", "2024-02-05", "2024-02-20"))
    world.ingest(logs("2024-02-06"), "content")
    count_days(world.store)
    world.follow()

    def longer(day: date, name: str) -> dict[str, int]:
        with world.catalogue.read() as connection:
            return simulate(connection, day, settings=world.settings).classes[name].longer

    assert longer(date(2025, 2, 5), "user_log") == {}
    assert longer(date(2025, 2, 6), "user_log") == {"later_neighbour": 2}
    assert longer(date(2025, 3, 1), "user_log") == {}, "it is due"
    world.execute(sa.text(TICKETS))
    given = "INSERT INTO tickets VALUES ('T1', 'disposed', 'app', 'content.log#1', 0, NULL, NULL, NULL, NULL)"
    world.execute(sa.text(given))
    assert longer(date(2025, 3, 1), "content") == {"open_ticket": 1}
