"""Bulk steps: each ticket judged by itself, one transaction, an undo that never overwrites what came after."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa

from errors import BusyError, LiucunError, NotPermittedError, UsageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import events
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, HIT, take
from tests.tickets.people import AUDITOR, HONG, MING, ROOT, WANG, by
from tickets.errors import NothingChosenError, TransitionError
from tickets.queue import Filters, list_tickets, ticket_detail, tickets_by_id
from tickets.service import Desk
from tickets.settings import TicketSettings
from tickets.states import Decision, Measure, State
from tickets.steps.bulk import BulkAction
from tickets.tables import tickets


@pytest.fixture
def ids(catalogue: Catalogue, bodies: PlainBodies) -> list[str]:
    contents = [replace(CONTENT, content_id=f"c{n}", text=f"第{n}条完全不同的内容 {n * 7919}") for n in range(30)]
    take(catalogue, bodies, *contents)
    with catalogue.read() as connection:
        return [ticket.ticket_id for ticket in list_tickets(connection, limit=100)]


def states(desk: Desk, ids: list[str]) -> set[str]:
    with desk.catalogue.read() as connection:
        return {ticket.state for ticket in tickets_by_id(connection, ids)}


def test_a_dismissed_batch_comes_back_whole(desk: Desk, ids: list[str]) -> None:
    done = desk.bulk(BulkAction.DISMISS, ids, reason="测试数据")
    assert set(done.done) == set(ids)
    assert states(desk, ids) == {State.DISMISSED}
    with desk.catalogue.read() as connection:
        detail = ticket_detail(connection, desk.bodies, ids[0])
    assert [note["text"] for note in detail.notes] == ["测试数据"]
    back = desk.undo(done.token)
    assert len(back.done) == 30
    assert states(desk, ids) == {State.DETECTED}
    with desk.catalogue.read() as connection:
        kinds = dict(connection.execute(sa.select(events.c.kind, sa.func.count()).group_by(events.c.kind)).all())
    assert kinds["ticket.dismissed"] == kinds["ticket.undone"] == 30
    with pytest.raises(TransitionError, match="taken back before"):
        desk.undo(done.token)


def test_a_note_is_not_left_under_a_key_that_is_being_destroyed(
    desk: Desk, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge seals a ticket's texts anew between the sealing of the note and the step's transaction."""
    prepared = Desk._prepared

    def overtaken(*given):
        made = prepared(*given)
        with desk.catalogue.write() as connection:
            connection.execute(tickets.update().where(tickets.c.ticket_id == ids[5]).values(text_key="another"))
        return made

    monkeypatch.setattr(Desk, "_prepared", overtaken)
    with pytest.raises(BusyError, match="keys of these tickets"):
        desk.bulk(BulkAction.DISMISS, ids, reason="测试数据")
    assert states(desk, ids) == {State.DETECTED}
    with desk.catalogue.read() as connection:
        assert ticket_detail(connection, desk.bodies, ids[5]).notes == ()
    monkeypatch.undo()
    assert len(desk.bulk(BulkAction.DISMISS, ids, reason="测试数据").done) == len(ids)


def test_what_others_changed_since_is_left_alone(desk: Desk, ids: list[str]) -> None:
    done = desk.bulk(BulkAction.CLAIM, ids)
    desk.confirm(ids[3], Decision.ILLEGAL, "违法")
    back = desk.undo(done.token)
    assert back.refused == ((ids[3], "somebody changed it since"),)
    with desk.catalogue.read() as connection:
        (kept,) = tickets_by_id(connection, [ids[3]])
    assert (kept.state, kept.assignee) == (State.CONFIRMED, "os:alice")


def test_only_who_did_it_takes_it_back_and_only_for_a_while(desk: Desk, ids: list[str]) -> None:
    done = by(desk, MING).bulk(BulkAction.CLAIM, ids)
    with pytest.raises(NotPermittedError, match="ming took this step"):
        by(desk, HONG).undo(done.token)
    with desk.catalogue.write() as connection:
        connection.execute(sa.text("UPDATE ticket_bulk_actions SET until = '2026-01-01T00:00:00.000000Z'"))
    with pytest.raises(TransitionError, match="time ran out"):
        by(desk, MING).undo(done.token)
    with pytest.raises(UsageError, match="no bulk step"):
        desk.undo("B0")


def test_each_ticket_is_judged_by_itself(desk: Desk, ids: list[str]) -> None:
    ming = by(desk, MING)
    by(desk, HONG).claim(ids[0])
    ming.confirm(ids[1], Decision.ILLEGAL, "r")
    claimed = ming.bulk(BulkAction.CLAIM, [*ids, "T-none"])
    refused = dict(claimed.refused)
    assert "hong took it" in refused[ids[0]]
    assert refused["T-none"] == "there is no such ticket"
    assert len(claimed.done) == 29
    below = ming.bulk(BulkAction.CONFIRM, ids[2:], decision=Decision.HARMFUL, reason="r")
    assert not below.done
    assert "second person" in below.refused[0][1]
    confirmed = ming.bulk(BulkAction.CONFIRM, ids, decision=Decision.ILLEGAL, reason="r")
    left = dict(confirmed.refused)
    assert "cannot become confirmed" in left[ids[1]]
    assert "hong's since" in left[ids[0]]
    assert left.keys() == set(ids[:2])
    with desk.catalogue.read() as connection:
        tickets = tickets_by_id(connection, list(confirmed.done))
    assert all(ticket.police_due_at and ticket.triaged_by == "ming" for ticket in tickets)


def test_an_undone_confirmation_does_not_restart_the_police_clock(desk: Desk, ids: list[str]) -> None:
    done = desk.bulk(BulkAction.CONFIRM, ids[:1], decision=Decision.ILLEGAL, reason="r")
    with desk.catalogue.read() as connection:
        (before,) = tickets_by_id(connection, ids[:1])
    desk.undo(done.token)
    assert desk.confirm(ids[0], Decision.ILLEGAL, "r").police_due_at == before.police_due_at


def test_a_filter_takes_the_most_urgent_first(desk: Desk, ids: list[str], bodies: PlainBodies) -> None:
    worse = replace(CONTENT, content_id="worse", text="更严重的", findings=(replace(HIT, severity=4),))
    take(desk.catalogue, bodies, worse)
    done = desk.bulk(BulkAction.CLAIM, filters=Filters(states=[State.DETECTED]), limit=5)
    with desk.catalogue.read() as connection:
        assert {"worse"} <= {ticket.content_id for ticket in tickets_by_id(connection, list(done.done))}
    assert len(done.done) == 5


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "either"),
        ({"ids": ["a"], "filters": Filters()}, "either"),
        ({"filters": Filters(), "limit": 10_001}, "at most"),
        ({"ids": ["a"], "action": BulkAction.CONFIRM, "reason": "r"}, "decision"),
        ({"ids": ["a"], "action": BulkAction.DISMISS, "reason": " "}, "reason"),
        ({"ids": ["a"], "action": BulkAction.ASSIGN}, "Whom"),
    ],
)
def test_wrong_use_is_said(desk: Desk, arguments: dict[str, object], word: str) -> None:
    given = {"action": BulkAction.CLAIM, **arguments}
    with pytest.raises(UsageError, match=word):
        desk.bulk(given.pop("action"), given.pop("ids", None), **given)


def test_who_may_not_triage_may_not_in_bulk(desk: Desk, ids: list[str]) -> None:
    for who in (AUDITOR, ROOT):
        with pytest.raises(NotPermittedError):
            by(desk, who).bulk(BulkAction.CLAIM, ids)


def test_a_merged_part_goes_with_a_bulk_dismissal(desk: Desk, ids: list[str]) -> None:
    desk.merge(ids[1:3], ids[0], "同一事")
    assert len(desk.bulk(BulkAction.DISMISS, ids, reason="r").done) == 28
    assert states(desk, ids) == {State.DISMISSED}


def test_two_people_at_once_one_has_it_the_other_is_told(desk: Desk, ids: list[str]) -> None:
    outcome: dict[str, str] = {}
    start = threading.Barrier(8)

    def claim(name: str) -> None:
        start.wait()
        try:
            by(desk, replace(MING, name=name)).claim(ids[0])
            outcome[name] = "won"
        except LiucunError as error:
            outcome[name] = error.what

    threads = [threading.Thread(target=claim, args=(f"r{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome.values()).count("won") == 1
    winner = next(name for name, said in outcome.items() if said == "won")
    for said in outcome.values():
        assert said == "won" or f"was taken by {winner}" in said or "changed the ticket" in said


def test_bulk_steps_at_once_lose_nothing_and_never_wait_in_a_ring(desk: Desk, ids: list[str]) -> None:
    done: list[int] = []
    start = threading.Barrier(4)

    def work(name: str, order: list[str]) -> None:
        start.wait()
        done.append(len(by(desk, replace(MING, name=name)).bulk(BulkAction.CLAIM, order).done))

    threads = [threading.Thread(target=work, args=(f"r{n}", ids if n % 2 else ids[::-1])) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 0, 0, 30]


def test_assign_and_release_carry_the_time(desk: Desk, ids: list[str]) -> None:
    ming, hong, wang = (by(desk, who) for who in (MING, HONG, WANG))
    assigned = ming.assign(ids[0], "hong", "请看")
    assert (assigned.assignee, assigned.state) == ("hong", State.TRIAGE)
    assert assigned.assigned_at
    with pytest.raises(NotPermittedError, match="hong's"):
        ming.assign(ids[0], "ming")
    assert wang.assign(ids[0], "ming").assignee == "ming"
    with pytest.raises(NotPermittedError):
        hong.release(ids[0])
    released = ming.release(ids[0])
    assert (released.state, released.assignee, released.assigned_at) == (State.DETECTED, None, None)
    with pytest.raises(TransitionError, match="nobody's"):
        ming.release(ids[0])


def test_memory_of_dismissals_can_be_switched_off(desk: Desk, ids: list[str], bodies: PlainBodies) -> None:
    quiet = replace(desk, settings=TicketSettings(dismissal_days=0))
    quiet.bulk(BulkAction.DISMISS, ids[:1], reason="r")
    with desk.catalogue.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM ticket_dismissals")).scalar_one() == 0


@pytest.mark.parametrize("action", list(BulkAction))
def test_a_step_on_nothing_is_refused_with_a_word(desk: Desk, action: BulkAction) -> None:
    given = {
        BulkAction.ASSIGN: {"assignee": "hong"},
        BulkAction.CONFIRM: {"decision": Decision.ILLEGAL},
        BulkAction.DISPOSE: {"measure": Measure.DELETE},
    }.get(action, {})
    for step in (desk.preview, partial(desk.bulk, reason="理由")):
        with pytest.raises(NothingChosenError, match="No ticket is chosen"):
            step(action, [], **given)
        with pytest.raises(NothingChosenError, match="The filter finds no ticket"):
            step(action, filters=Filters(category="fraud"), **given)
    with pytest.raises(NotPermittedError):
        by(desk, ROOT).preview(action, [], **given)
    with desk.catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one() == 0
