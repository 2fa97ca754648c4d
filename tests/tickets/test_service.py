"""The desk: what each state allows, which step starts the clock, and that every step leaves its event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errors import LiucunError, UsageError
from retention.catalogue.engine import Catalogue
from tests.tickets.conftest import PlainBodies
from tests.tickets.test_opening import CONTENT, take
from tickets.calendar.reading import shipped_calendar
from tickets.errors import TicketChangedError, TicketUnknownError, TransitionError
from tickets.queue import get_ticket, list_tickets, ticket_detail
from tickets.service import Desk
from tickets.states import TRANSITIONS, Decision, Measure, State


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


@pytest.mark.parametrize("decision", [Decision.HARMFUL, Decision.VIOLATION])
def test_only_what_is_illegal_has_the_ten_days(desk: Desk, number: str, decision: Decision) -> None:
    desk.confirm(number, decision, "r")
    assert desk.dispose(number, Measure.WARN).due_on is None
    with pytest.raises(TransitionError, match="not 违法"):
        desk.report(number)
    assert desk.close(number).state == State.CLOSED


def test_an_illegal_ticket_is_not_closed_unreported(desk: Desk, number: str) -> None:
    desk.confirm(number, Decision.ILLEGAL, "r")
    desk.dispose(number, Measure.DELETE)
    with pytest.raises(TransitionError, match="not reported"):
        desk.close(number)


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


STEPS = st.sampled_from(
    ["claim", "dismiss", "confirm", "dispose", "report", "reject", "acknowledge", "close", "reverse"]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=12), seed=st.integers(0, 1 << 30))
def test_no_sequence_of_steps_leaves_the_machine(
    desk: Desk, catalogue: Catalogue, bodies: PlainBodies, steps: list[str], seed: int
) -> None:
    from dataclasses import replace

    take(catalogue, bodies, replace(CONTENT, content_id=f"c-{seed}"))
    with catalogue.read() as connection:
        number = next(t.ticket_id for t in list_tickets(connection, limit=10**6) if t.content_id == f"c-{seed}")
    arguments: dict[str, tuple[object, ...]] = {
        "dismiss": ("r",),
        "confirm": (Decision.ILLEGAL, "r"),
        "dispose": (Measure.DELETE,),
        "report": ("R",),
        "reject": ("r",),
        "acknowledge": ("R",),
        "reverse": ("r",),
    }
    for step in steps:
        with catalogue.read() as connection:
            before = get_ticket(connection, number)
        try:
            after = getattr(desk, step)(number, *arguments.get(step, ()))
        except LiucunError:
            with catalogue.read() as connection:
                assert get_ticket(connection, number) == before, "a refused step changed the ticket"
        else:
            assert State(after.state) in TRANSITIONS[State(before.state)]
            if before.due_on:
                assert after.due_on == before.due_on, "the clock was restarted"
    with catalogue.read() as connection:
        detail = ticket_detail(connection, bodies, number)
        states = [event["to"] for event in detail.timeline if event.get("to")]
        assert states[-1] == get_ticket(connection, number).state
