"""Model-based: random actors take random steps; no step without right, no ticket lost, no clock restarted, no gap."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from tests.tickets.findings import CONTENT, take
from tests.tickets.queue_model import ANY, PEOPLE, WHO
from tests.tickets.queue_model_bulk import BulkModel
from tickets.actors import Actor, Right
from tickets.states import Channel, Decision, Measure, State
from tickets.steps.approving import list_approvals
from tickets.steps.opening import ManualFinding
from tickets.tables_sending import orders

SINGLE: dict[str, tuple[Right, tuple[Any, ...]]] = {
    "claim": (Right.TICKETS_WORK, ()),
    "release": (Right.TICKETS_WORK, ()),
    "take_over": (Right.TICKETS_WORK, ("他在休假",)),
    "dismiss": (Right.TICKETS_WORK, ("无害",)),
    "dispose": (Right.TICKETS_WORK, (Measure.DELETE,)),
    "report": (Right.TICKETS_APPROVE, ("R",)),
    "reject": (Right.TICKETS_APPROVE, ("退回",)),
    "acknowledge": (Right.TICKETS_APPROVE, ("HZ-1",)),
    "close": (Right.TICKETS_WORK, ()),
    "appeal": (Right.TICKETS_WORK, ("申诉",)),
    "reject_appeal": (Right.TICKETS_APPROVE, ("不成立",)),
    "reverse": (Right.TICKETS_APPROVE, ("成立",)),
}
ONWARD = {
    State.CONFIRMED: ("dispose",),
    State.DISPOSED: ("report",),
    State.REPORTED: ("acknowledge", "reject"),
    State.ACKNOWLEDGED: ("close", "appeal"),
    State.CLOSED: ("appeal", "reverse"),
}


class Queue(BulkModel):
    """Steps on one ticket at a time, beside those on many."""

    @rule(who=WHO, number=ANY, step=st.sampled_from(sorted(SINGLE)))
    def single(self, who: Actor, number: int, step: str) -> None:
        ticket_id = self.pick(number)
        before = self.seen[ticket_id]
        right, arguments = SINGLE[step]
        after = self.attempt(who, right, lambda desk: getattr(desk, step)(ticket_id, *arguments))
        if after is not None and step == "dismiss":
            self.was_theirs(before, who)
        if after is not None and step in {"report", "reverse", "reject_appeal"} and not who.is_local:
            assert before.triaged_by != who.name, "somebody approved their own triage"

    @rule(path=st.lists(st.tuples(st.sampled_from(PEOPLE[:4]), st.booleans()), min_size=1, max_size=8), number=ANY)
    def go_on(self, path: list[tuple[Actor, bool]], number: int) -> None:
        """Steps that fit the state, so that tickets come far."""
        ticket_id = self.pick(number)
        for who, other in path:
            self.onward(who, ticket_id, other)
            self.nothing_is_lost_and_no_clock_restarts()

    def onward(self, who: Actor, ticket_id: str, other: bool) -> None:
        before = self.seen[ticket_id]
        steps = ONWARD.get(State(before.state), ())
        if before.state in (State.DETECTED, State.TRIAGE):
            if before.assignee not in (None, who.name) and not who.may(Right.TICKETS_ASSIGN):
                self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.take_over(ticket_id, "接手"))
            self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.confirm(ticket_id, Decision.ILLEGAL, "定性"))
        elif steps:
            self.single(who, sorted(self.seen).index(ticket_id), steps[other % len(steps)])

    @rule(who=WHO, number=ANY, decision=st.sampled_from(list(Decision)))
    def confirm(self, who: Actor, number: int, decision: Decision) -> None:
        ticket_id = self.pick(number)
        before = self.seen[ticket_id]
        if self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.confirm(ticket_id, decision, "定性")) is not None:
            self.was_theirs(before, who)

    @rule(who=WHO, number=ANY, agree=st.booleans())
    def second_person(self, who: Actor, number: int, agree: bool) -> None:
        with self.catalogue.read() as connection:
            waiting = list_approvals(connection)
        if waiting:
            approval = waiting[number % len(waiting)]
            right = Right.TICKETS_WORK if approval.kind == "decision" else Right.TICKETS_APPROVE
            step = "approve" if agree else "refuse"
            if self.attempt(who, right, lambda desk: getattr(desk, step)(approval.approval_id, "复核")) is not None:
                assert who.name != approval.asked_by
                assert not who.is_local

    @rule(who=WHO, number=ANY, to=WHO)
    def assign(self, who: Actor, number: int, to: Actor) -> None:
        self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.assign(self.pick(number), to.name))

    @rule(who=WHO, number=ANY, seconds=st.integers(-90_000, -1) | st.integers(3_600, 90_000))
    def move_time(self, who: Actor, number: int, seconds: int) -> None:
        ticket = self.seen[self.pick(number)]
        since = ticket.effective_at or ticket.ordered_at or ticket.detected_at
        moment = datetime.fromtimestamp(datetime.fromisoformat(since).timestamp() + seconds, UTC)
        after = self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.set_effective(ticket.ticket_id, moment, "更正"))
        if after is not None and ticket.effective_at is not None:
            assert after.effective_at <= ticket.effective_at, "one person moved a time later"

    @rule(who=WHO, number=ANY, refuse=st.booleans())
    def platform_answers(self, who: Actor, number: int, refuse: bool) -> None:
        with self.catalogue.read() as connection:
            found = list(connection.execute(sa.select(orders.c.order_id).order_by(orders.c.order_id)).scalars())
        if found:
            order = found[number % len(found)]
            if refuse:
                self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.refuse_order(order, "平台拒绝"))
            else:
                self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.acknowledge_order(order))

    @rule(who=WHO, number=ANY, other=ANY)
    def merge(self, who: Actor, number: int, other: int) -> None:
        self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.merge([self.pick(number)], self.pick(other), "同一事"))

    @rule(who=WHO, number=ANY, other=ANY)
    def link(self, who: Actor, number: int, other: int) -> None:
        pair = (self.pick(number), self.pick(other))
        self.attempt(who, Right.TICKETS_WORK, lambda desk: (desk.link(*pair), True))

    @rule(who=WHO, channel=st.sampled_from([Channel.COMPLAINT, Channel.AUTHORITY, Channel.ENGINE]))
    def open_by_hand(self, who: Actor, channel: Channel) -> None:
        finding = ManualFinding(channel, "fraud", "有人举报这条内容", content_id="m")
        self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.open_manual(finding))

    @rule(content=st.sampled_from("abc"))
    def found_again(self, content: str) -> None:
        take(self.catalogue, self.bodies, replace(CONTENT, content_id=content, offset=77))


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=8, stateful_step_count=25, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_longer() -> None:
    run_state_machine_as_test(
        Queue,
        settings=settings(max_examples=200, stateful_step_count=50, suppress_health_check=list(HealthCheck)),
    )
