"""Random steps on many tickets at once: claimed, decided, disposed of with evidence and one order each, undone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import rule

from errors import StorageError
from retention.catalogue.tables import timestamp
from tests.tickets.queue_model import ANY, WHO, QueueModel
from tickets.actors import Actor, Right
from tickets.archived import take_out
from tickets.queue import Ticket, list_tickets, ticket_detail
from tickets.service import Desk
from tickets.states import Decision, Measure, State
from tickets.steps.bulk import BulkAction, BulkResult
from tickets.steps.refusals import Why
from tickets.tables_sending import orders, outbox

NOBODYS = "TNONE"


class Full:
    """Objects with room for nothing more."""

    def __init__(self, objects: Any) -> None:
        self.objects = objects

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objects, name)

    def put(self, *_: object, **__: object) -> None:
        raise StorageError("The disk is full.", cure="-")


class BulkModel(QueueModel):
    """A disposal takes exactly what is confirmed; a repetition takes nothing."""

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
