"""The desk: what each state allows, which step starts the clock, and that every step leaves its event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from errors import NotPermittedError, UsageError
from retention.catalogue.engine import Catalogue
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, HIT, take
from tickets.actors import Actor, Role
from tickets.calendar.reading import shipped_calendar
from tickets.errors import HeldError, SecondPersonError, TicketChangedError, TicketUnknownError, TransitionError
from tickets.queue import get_ticket, list_tickets, ticket_detail
from tickets.service import Desk
from tickets.states import Decision, Measure, State


@pytest.fixture
def number(catalogue: Catalogue, bodies: PlainBodies) -> str:
    take(catalogue, bodies, CONTENT)
    with catalogue.read() as connection:
        return list_tickets(connection)[0].ticket_id


def test_the_whole_life(desk: Desk, number: str) -> None:
    assert desk.claim(number).assignee == "os:alice"
    assert desk.confirm(number, Decision.ILLEGAL, "赌博广告").due_on is None, "triage starts no clock"
    disposed = desk.dispose(number, Measure.DELETE, effective_at=datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC))
    assert disposed.due_on == "2026-12-07"
    desk.report(number, "R-1")
    desk.reject(number, "缺少证据")
    assert desk.report(number, "R-2").due_on == "2026-12-07", "a rejected report keeps its date"
    desk.acknowledge(number, "HZ-9")
    assert desk.close(number).state == State.CLOSED
    with desk.catalogue.read() as connection:
        detail = ticket_detail(connection, desk.bodies, number)
    steps = [(event.get("from"), event.get("to")) for event in detail.timeline if event.get("to")]
    assert steps == [
        (None, "detected"),
        ("detected", "triage"),
        ("triage", "confirmed"),
        ("confirmed", "disposed"),
        ("disposed", "reported"),
        ("reported", "disposed"),
        ("disposed", "reported"),
        ("reported", "acknowledged"),
        ("acknowledged", "closed"),
    ]
    assert {note["text"] for note in detail.notes} == {"赌博广告", "缺少证据"}


def test_midnight_in_shanghai_decides_the_day(desk: Desk, number: str) -> None:
    desk.confirm(number, Decision.ILLEGAL, "r")
    disposed = desk.dispose(number, Measure.DELETE, effective_at=datetime(2026, 11, 23, 16, 0, 0, tzinfo=UTC))
    assert disposed.due_on == "2026-12-08"


def person(desk: Desk, name: str, *roles: Role) -> Desk:
    return replace(desk, actor=Actor(name, frozenset(roles)))


def test_only_what_is_illegal_has_the_ten_days(catalogue: Catalogue, bodies: PlainBodies, desk: Desk) -> None:
    swearing = replace(CONTENT, content_id="abuse", findings=(replace(HIT, category="abuse", subtype="insult"),))
    luring = replace(CONTENT, content_id="lure", findings=(replace(HIT, category="contact_diversion", subtype="lure"),))
    take(catalogue, bodies, swearing, luring)
    with catalogue.read() as connection:
        by_content = {ticket.content_id: ticket.ticket_id for ticket in list_tickets(connection)}
    desk.confirm(by_content["abuse"], Decision.HARMFUL, "辱骂")
    assert desk.dispose(by_content["abuse"], Measure.WARN).due_on is None
    with pytest.raises(TransitionError, match="不良 and not reported"):
        desk.close(by_content["abuse"])
    assert desk.report(by_content["abuse"], "R").state == State.REPORTED, "harmful is reported, without a fixed day"
    desk.confirm(by_content["lure"], Decision.VIOLATION, "引流")
    assert desk.dispose(by_content["lure"], Measure.WARN).due_on is None
    with pytest.raises(TransitionError, match="no report"):
        desk.report(by_content["lure"])
    assert desk.close(by_content["lure"]).state == State.CLOSED


def test_going_below_the_default_waits_for_a_second_person(desk: Desk, number: str, catalogue: Catalogue) -> None:
    reviewer = person(desk, "ming", Role.REVIEWER)
    waiting = reviewer.confirm(number, Decision.VIOLATION, "玩笑")
    assert (waiting.state, waiting.decision) == (State.TRIAGE, None)
    assert waiting.pending
    with pytest.raises(SecondPersonError):
        reviewer.approve(waiting.pending, "同意")
    with pytest.raises(SecondPersonError):
        desk.approve(waiting.pending, "an account of the machine is nobody's second person")
    with pytest.raises(TransitionError, match="waits for a second person"):
        reviewer.confirm(number, Decision.HARMFUL, "还是轻")
    approved = person(desk, "hong", Role.REVIEWER).approve(waiting.pending, "同意")
    assert (approved.state, approved.decision, approved.triaged_by) == (State.CONFIRMED, "violation", "ming")
    assert approved.pending is None
    with pytest.raises(TransitionError, match="approved by hong"):
        person(desk, "li", Role.REVIEWER).refuse(waiting.pending, "late")


def test_a_refused_milder_decision_leaves_the_ticket_undecided(desk: Desk, number: str) -> None:
    waiting = person(desk, "ming", Role.REVIEWER).confirm(number, Decision.HARMFUL, "r")
    assert waiting.pending
    after = person(desk, "hong", Role.COMPLIANCE_HEAD).refuse(waiting.pending, "违法")
    assert (after.state, after.pending, after.decision) == (State.TRIAGE, None, None)


def test_a_stricter_decision_withdraws_the_milder_one(desk: Desk, number: str) -> None:
    reviewer = person(desk, "ming", Role.REVIEWER)
    waiting = reviewer.confirm(number, Decision.HARMFUL, "r")
    assert reviewer.confirm(number, Decision.ILLEGAL, "r").pending is None
    assert waiting.pending
    with pytest.raises(TransitionError, match="withdrawn"):
        person(desk, "hong", Role.REVIEWER).approve(waiting.pending, "r")


def test_an_illegal_ticket_is_not_closed_unreported(desk: Desk, number: str) -> None:
    desk.confirm(number, Decision.ILLEGAL, "r")
    desk.dispose(number, Measure.DELETE)
    with pytest.raises(TransitionError, match="not reported"):
        desk.close(number)


def test_what_was_reported_is_not_disposed_of_anew(desk: Desk, number: str) -> None:
    """Its ten days would begin again."""
    desk.confirm(number, Decision.ILLEGAL, "违法")
    desk.dispose(number, Measure.DELETE)
    reported = desk.report(number, "R-1")
    with pytest.raises(TransitionError, match="is reported"):
        desk.dispose(number, Measure.MASK)
    with desk.catalogue.read() as connection:
        assert get_ticket(connection, number) == reported


def test_disposal_needs_a_decision(desk: Desk, number: str) -> None:
    with pytest.raises(TransitionError, match="detected"):
        desk.dispose(number, Measure.DELETE)


def test_times_that_cannot_be_are_refused(desk: Desk, number: str) -> None:
    desk.confirm(number, Decision.ILLEGAL, "r")
    now = datetime.now(UTC)
    with pytest.raises(UsageError, match="future"):
        desk.dispose(number, Measure.DELETE, effective_at=now + timedelta(hours=1))
    with pytest.raises(UsageError, match="before it was ordered"):
        desk.dispose(number, Measure.DELETE, ordered_at=now, effective_at=now - timedelta(hours=1))
    with pytest.raises(UsageError, match="before the content"):
        desk.dispose(number, Measure.DELETE, effective_at=datetime(2020, 1, 1, tzinfo=UTC))


def test_reasons_and_receipts_are_required(desk: Desk, number: str) -> None:
    for step in (
        lambda: desk.dismiss(number, "  "),
        lambda: desk.confirm(number, Decision.ILLEGAL, ""),
        lambda: desk.note(number, "x" * 10_001),
        lambda: desk.acknowledge(number, " "),
    ):
        with pytest.raises(UsageError):
            step()


def test_unknown_tickets_are_said(desk: Desk) -> None:
    with pytest.raises(TicketUnknownError, match="T-none"):
        desk.claim("T-none")


def test_what_somebody_has_claimed_another_takes_over_before_deciding(
    catalogue: Catalogue, bodies: PlainBodies, number: str
) -> None:
    ming, hong, wang = (
        Desk(catalogue, bodies, shipped_calendar(), Actor(name, frozenset({role})))
        for name, role in (("ming", Role.REVIEWER), ("hong", Role.REVIEWER), ("wang", Role.COMPLIANCE_HEAD))
    )
    ming.take_over(number, "无人领取")
    ming.release(number)
    since = ming.claim(number).assigned_at
    with catalogue.read() as connection:
        begun = len(ticket_detail(connection, bodies, number).notes)
        kinds = [event["kind"] for event in ticket_detail(connection, bodies, number).timeline]
    assert kinds[-3:] == ["ticket.claimed", "ticket.released", "ticket.claimed"], "what nobody has is taken from nobody"
    for step in (
        lambda: hong.claim(number),
        lambda: hong.dismiss(number, "无害"),
        lambda: hong.confirm(number, Decision.ILLEGAL, "违法"),
    ):
        with pytest.raises(HeldError, match="ming"):
            step()
    with pytest.raises(NotPermittedError):
        hong.assign(number, "hong")
    for reason in ("", "  ", "长" * 10_001):
        with pytest.raises(UsageError):
            hong.take_over(number, reason)
    assert hong.take_over(number, "他在休假").assignee == "hong"
    version = hong.take_over(number, "再点一次").version
    with catalogue.read() as connection:
        detail = ticket_detail(connection, bodies, number)
    assert (detail.ticket.version, [note["text"] for note in detail.notes[begun:]]) == (version, ["他在休假"])
    last = detail.timeline[-1]
    assert (last["kind"], last["actor"], last["was"], last["since"]) == ("ticket.taken_over", "hong", "ming", since)
    with pytest.raises(HeldError, match="hong"):
        ming.dismiss(number, "无害")
    # Who may assign could take it from her anyway; what a dismissed ticket's holder left is taken over likewise.
    assert wang.dismiss(number, "无害").assignee == "hong"
    with pytest.raises(HeldError):
        ming.claim(number)
    assert ming.take_over(number, "重新研判").state == State.TRIAGE


def test_the_second_claim_is_told_who_has_it(
    desk: Desk, number: str, catalogue: Catalogue, bodies: PlainBodies
) -> None:
    desk.claim(number)
    with pytest.raises(TransitionError, match="os:alice"):
        Desk(catalogue, bodies, shipped_calendar(), "os:bob").claim(number)


def test_a_step_on_an_older_version_is_refused(desk: Desk, number: str) -> None:
    with desk.catalogue.write() as connection:
        stale = get_ticket(connection, number)
        desk._move(connection, stale, State.TRIAGE, "k", {})
        with pytest.raises(TicketChangedError):
            desk._move(connection, stale, State.TRIAGE, "k", {})
