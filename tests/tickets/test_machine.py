"""Model-based: random actors take random steps; no step without right, no ticket lost, no clock restarted, no gap.

The same steps must give the same course whenever they are taken again, or a failure cannot be found a second time (and
is reported as a flaky strategy): numbers are counted, not drawn, and no time lies so near to now that the speed of the
machine decides what becomes of it.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from errors import LiucunError, NotPermittedError, StorageError
from liucun.store import TICKET_SCRIPTS
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.catalogue.tables import timestamp
from tests.retention.samples import archive as cheap_archive
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, HIT, take
from tickets.actors import Actor, Right, Role
from tickets.archived import take_out
from tickets.calendar.reading import shipped_calendar
from tickets.queue import Ticket, get_ticket, list_tickets, ticket_detail
from tickets.service import Desk
from tickets.settings import PlatformSettings, TicketSettings
from tickets.states import TRANSITIONS, Channel, Decision, Measure, Part, State, part_of
from tickets.steps import base
from tickets.steps.approving import list_approvals
from tickets.steps.bulk import BulkAction, BulkResult
from tickets.steps.opening import ManualFinding
from tickets.steps.refusals import Why
from tickets.tables import tickets
from tickets.tables_sending import orders, outbox

PEOPLE = (
    Actor("ming", frozenset({Role.REVIEWER})),
    Actor("hong", frozenset({Role.REVIEWER})),
    Actor("wang", frozenset({Role.COMPLIANCE_HEAD})),
    Actor("zhao", frozenset({Role.COMPLIANCE_HEAD, Role.REVIEWER})),
    Actor("audit", frozenset({Role.AUDITOR})),
    Actor("root", frozenset({Role.SYSTEM_ADMIN})),
    Actor("rules", frozenset({Role.SECURITY_ADMIN})),
    Actor("nobody"),
    Actor.of("os:machine"),
)
TRIAGE = {"ming", "hong", "wang", "zhao", "os:machine"}
HEADS = {"wang", "zhao", "os:machine"}
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
NOBODYS = "TNONE"
ANY = st.integers(0, 1 << 16)
WHO = st.sampled_from(PEOPLE)


class Full:
    """Objects with room for nothing more."""

    def __init__(self, objects: Any) -> None:
        self.objects = objects

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objects, name)

    def put(self, *_: object, **__: object) -> None:
        raise StorageError("The disk is full.", cure="-")


class Queue(RuleBasedStateMachine):
    """The queue under everybody at once; the model is what each ticket was after the last step that succeeded."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.catalogue = Catalogue.open(f"sqlite:///{Path(self.folder.name) / 'c.db'}")
        self.bodies = PlainBodies()
        self.archive = cheap_archive(Path(self.folder.name))
        self.numbers = itertools.count(1)
        self.random, base.secrets = base.secrets, SimpleNamespace(token_hex=lambda _: f"{next(self.numbers):016x}")
        self.tokens: list[tuple[str, str]] = []
        self.seen: dict[str, Ticket] = {}
        self.last = ""

    @initialize(platform=st.booleans())
    def begin(self, platform: bool) -> None:
        migrate(self.catalogue)
        migrate(self.catalogue, room="tickets", script_location=TICKET_SCRIPTS)
        url = "https://platform.invalid/orders" if platform else ""
        self.settings = TicketSettings(platform=PlatformSettings(url=url))
        abuse = replace(HIT, category="abuse", subtype="insult", rule="abuse.001")
        blocked = datetime(2026, 11, 23, 3, tzinfo=UTC)
        take(
            self.catalogue,
            self.bodies,
            replace(CONTENT, content_id="a"),
            replace(CONTENT, content_id="b", text="完全不同的一段文字内容", findings=(abuse,)),
            replace(CONTENT, content_id="c", blocked_at=blocked),
        )
        self.remember()

    def teardown(self) -> None:
        base.secrets = self.random
        self.catalogue.close()
        self.folder.cleanup()

    def desk(self, who: Actor) -> Desk:
        return Desk(self.catalogue, self.bodies, shipped_calendar(), who, self.settings, archive=self.archive)

    def pick(self, number: int) -> str:
        return sorted(self.seen)[number % len(self.seen)]

    def attempt(self, who: Actor, right: Right, step: Any) -> Any:
        before = self.everything()
        try:
            done = step(self.desk(who))
        except LiucunError as error:
            assert self.everything() == before, "a refused step changed something"
            assert who.may(right) or isinstance(error, NotPermittedError)  # noqa: PT017 - judged by who acts
            return None
        assert who.may(right), f"{who.name} acted without the right {right.value}"
        return done

    def everything(self) -> tuple[Any, ...]:
        from retention.catalogue.tables import events

        with self.catalogue.read() as connection:
            count = connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()
            return (count, *connection.execute(sa.select(tickets).order_by(tickets.c.ticket_id)).all())

    def remember(self) -> None:
        with self.catalogue.read() as connection:
            self.seen = {ticket.ticket_id: ticket for ticket in list_tickets(connection, limit=10_000)}

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

    def was_theirs(self, before: Ticket, who: Actor) -> None:
        free = before.assignee in (None, who.name)
        assert free or who.may(Right.TICKETS_ASSIGN), "somebody decided what another had taken"

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

    @rule(who=WHO, action=st.sampled_from(list(BulkAction)), decision=st.sampled_from(list(Decision)))
    def bulk(self, who: Actor, action: BulkAction, decision: Decision) -> None:
        arguments = {
            "decision": decision if action is BulkAction.CONFIRM else None,
            "assignee": "hong" if action is BulkAction.ASSIGN else None,
            "reason": "批量",
        }
        done = self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.bulk(action, sorted(self.seen), **arguments))
        if done is not None:
            assert (done.token is None) != action.undoable
            assert len(done.done) + len(done.refused) == len(self.seen)
            if action in (BulkAction.CONFIRM, BulkAction.DISMISS):
                for number in done.done:
                    self.was_theirs(self.seen[number], who)
            self.tokens.append((who.name, done.token))

    @rule(
        who=WHO,
        chosen=st.lists(ANY, min_size=1, max_size=6),
        measure=st.sampled_from(list(Measure)),
        since=st.sampled_from((None, timedelta(), timedelta(hours=1), timedelta(days=4_000))),
        room=st.sampled_from((True, True, True, False)),
    )
    def dispose_many(
        self, who: Actor, chosen: list[int], measure: Measure, since: timedelta | None, room: bool
    ) -> None:
        """One measure on some tickets, one of them unknown and one perhaps named twice; then the same once more."""
        ids = [*(self.pick(number) for number in chosen), NOBODYS]
        given: dict[str, Any] = {"effective_at": None if since is None else datetime.now(UTC) - since}
        before = dict(self.seen)
        shown = self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.preview(BulkAction.DISPOSE, ids, **given))
        assert shown is None or (self.measures() == self.measures_of(before) and shown.token is None)
        archive = self.archive if room else replace(self.archive, objects=Full(self.archive.objects))
        given |= {"measure": measure, "reason": "批量处置"}
        ordered = self.ordered()

        def step(desk: Desk) -> BulkResult:
            return replace(desk, archive=archive).bulk(BulkAction.DISPOSE, ids, **given)

        done = self.attempt(who, Right.TICKETS_WORK, step)
        if done is None:
            assert self.ordered() == ordered, "a refused disposal ordered something"
            return
        assert shown is not None
        assert set(done.done) == set(shown.done), "what was shown is not what was done"
        assert room or not done.done, "something was disposed of without its evidence"
        self.only_the_confirmed(before, set(ids), done, given["effective_at"])
        self.each_with_evidence_and_one_order(who, done, ordered)
        left = self.everything()
        again = self.attempt(who, Right.TICKETS_WORK, step)
        assert again.done == (), "a repetition disposed of something"
        assert {one.ticket_id for one in again.refusals} == set(ids)
        assert self.everything() == left, "a repetition changed something"

    def only_the_confirmed(
        self, before: dict[str, Ticket], ids: set[str], done: BulkResult, effective: datetime | None
    ) -> None:
        """What is confirmed and waits for nobody is disposed of; all else is left out with the word that fits."""
        assert len(done.done) == len(set(done.done))
        assert (done.token, done.until) == (None, None), "an order that is out was to be taken back"
        left = {one.ticket_id: one.why for one in done.refusals}
        assert len(left) == len(done.refusals)
        assert set(done.done) | set(left) == ids
        assert not set(done.done) & set(left)
        for number in ids:
            old = before.get(number)
            if old is None:
                why: Why | None = Why.UNKNOWN
            elif old.state != State.CONFIRMED:
                why = Why.UNCONFIRMED
            elif old.pending is not None:
                why = Why.WAITS
            else:
                early = effective is not None and timestamp(effective) < min(old.detected_at, old.event_time)
                why = Why.EARLY if early else None
            assert left.get(number) == why

    def each_with_evidence_and_one_order(self, who: Actor, done: BulkResult, ordered: dict[str, int]) -> None:
        takes = self.settings.platform.takes_orders
        now = self.ordered()
        expected = {number: ordered.get(number, 0) + takes for number in done.done} if takes else {}
        assert now == {**ordered, **expected}, "not one order a ticket"
        with self.catalogue.read() as connection:
            for number in done.done:
                said = [one for one in ticket_detail(connection, self.bodies, number).timeline if "to" in one][-1]
                assert (said["kind"], said["actor"], said["bulk"]) == ("ticket.disposed", who.name, True)
                assert len(said["evidence_sm3"]) == 64
        for number in done.done:
            taken = take_out(self.catalogue, self.bodies, self.archive, number, actor="wang", purpose="核对")
            assert json.loads(taken[-1].content)["ticket"] == number

    def ordered(self) -> dict[str, int]:
        """How many orders there are of each ticket; every one has its message."""
        with self.catalogue.read() as connection:
            of_each = sa.select(orders.c.ticket_id, sa.func.count()).group_by(orders.c.ticket_id)
            found = {str(number): int(count) for number, count in connection.execute(of_each)}
            sent = sa.select(sa.func.count()).select_from(outbox).where(outbox.c.channel == "platform")
            assert connection.execute(sent).scalar_one() == sum(found.values()), "an order without its message"
        return found

    def measures(self) -> dict[str, tuple[str, str | None]]:
        with self.catalogue.read() as connection:
            return self.measures_of({one.ticket_id: one for one in list_tickets(connection, limit=10_000)})

    @staticmethod
    def measures_of(those: dict[str, Ticket]) -> dict[str, tuple[str, str | None]]:
        return {number: (one.state, one.measure) for number, one in those.items()}

    @rule(who=WHO, number=ANY)
    def undo(self, who: Actor, number: int) -> None:
        if self.tokens:
            by, token = self.tokens[number % len(self.tokens)]
            if self.attempt(who, Right.TICKETS_WORK, lambda desk: desk.undo(token)) is not None:
                assert by == who.name

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

    @invariant()
    def nothing_is_lost_and_no_clock_restarts(self) -> None:
        before = self.seen
        self.remember()
        assert before.keys() <= self.seen.keys(), "a ticket was lost"
        for ticket_id, old in before.items():
            new = self.seen[ticket_id]
            assert new.detected_at <= old.detected_at
            assert new.version >= old.version
            if old.police_due_at:
                assert new.police_due_at, "the police clock stopped"
                assert new.police_due_at <= old.police_due_at, "the police clock was restarted"
            if old.ordered_at:
                assert new.ordered_at == old.ordered_at, "the order's time was changed"
            if old.effective_at and new.effective_at and new.effective_at > old.effective_at:
                self.moved_later_by_two(ticket_id)
            if old.due_at and new.due_at and old.effective_at == new.effective_at:
                assert new.due_at == old.due_at, "the ten days were restarted"

    def moved_later_by_two(self, ticket_id: str) -> None:
        with self.catalogue.read() as connection:
            done = [a for a in list_approvals(connection, ticket_id=ticket_id, waiting=False) if a.kind == "effective"]
        assert any(a.outcome == "approved" and a.decided_by != a.asked_by for a in done)

    @invariant()
    def every_transition_has_its_event(self) -> None:
        with self.catalogue.read() as connection:
            for ticket_id in self.seen:
                detail = ticket_detail(connection, self.bodies, ticket_id)
                state = None
                for event in detail.timeline:
                    if "to" not in event:
                        continue
                    if state is None:
                        assert event["kind"] == "ticket.opened"
                    else:
                        assert event["from"] == state.value, f"{event['kind']} begins where nothing ended"
                        assert event["to"] == state.value or State(event["to"]) in TRANSITIONS[state]
                    state = State(event["to"])
                ticket = get_ticket(connection, ticket_id)
                assert state == ticket.state, "a transition left no event"
                assert ticket.part in (part_of(State(ticket.state)), Part.DISPOSE)


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=8, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_longer() -> None:
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
