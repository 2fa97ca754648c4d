"""The queue under everybody at once, as a model for random steps: who may act, and what must hold after every step.

The same steps must give the same course whenever they are taken again, or a failure cannot be found a second time (and
is reported as a flaky strategy): numbers are counted, not drawn, and no time lies so near to now that the speed of the
machine decides what becomes of it.
"""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from errors import LiucunError, NotPermittedError
from liucun.store import TICKET_SCRIPTS
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from tests.retention.samples import archive as cheap_archive
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, HIT, take
from tickets.actors import Actor, Right, Role
from tickets.calendar.reading import shipped_calendar
from tickets.queue import Ticket, get_ticket, list_tickets, ticket_detail
from tickets.service import Desk
from tickets.settings import PlatformSettings, TicketSettings
from tickets.states import TRANSITIONS, Part, State, part_of
from tickets.steps import base
from tickets.steps.approving import list_approvals
from tickets.tables import tickets

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
ANY = st.integers(0, 1 << 16)
WHO = st.sampled_from(PEOPLE)


class QueueModel(RuleBasedStateMachine):
    """``seen`` is the model: what each ticket was after the last step that succeeded."""

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

    def was_theirs(self, before: Ticket, who: Actor) -> None:
        free = before.assignee in (None, who.name)
        assert free or who.may(Right.TICKETS_ASSIGN), "somebody decided what another had taken"

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
