"""One step on many tickets, written set-wise, with a token that takes it back for a while."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypedDict, Unpack

import sqlalchemy as sa

from errors import NotPermittedError, UsageError
from retention.catalogue.sets import insert_rows
from retention.catalogue.tables import timestamp
from tickets.actors import Right
from tickets.categories import below, default_decision
from tickets.errors import NothingChosenError, TransitionError
from tickets.queue import Filters, Ticket, list_tickets, tickets_by_id
from tickets.recall import Reason, forget, reasons_of
from tickets.states import OPEN, Decision, Measure, State
from tickets.steps.base import MAX_NOTE
from tickets.steps.dating import police_columns
from tickets.steps.many import MOST, BulkAction, BulkResult, SealedNotes, Wanted, effective_of, moved_to
from tickets.steps.many_disposed import DisposingSteps
from tickets.steps.refusals import LeftOutError, Refusal, Why
from tickets.tables_work import bulk_actions, bulk_items

__all__ = ["MOST", "BulkAction", "BulkResult", "BulkSteps", "StepFields"]

_RESTORED: Final = ("state", "part", "assignee", "assigned_at", "decision", "triaged_by", "triaged_at")
"""What a taken-back step leaves as it was; a police clock that was started goes on."""
_KINDS: Final = {
    BulkAction.CLAIM: "ticket.claimed",
    BulkAction.ASSIGN: "ticket.assigned",
    BulkAction.RELEASE: "ticket.released",
    BulkAction.DISMISS: "ticket.dismissed",
    BulkAction.CONFIRM: "ticket.confirmed",
}


class StepFields(TypedDict, total=False):
    """What a step needs beside its tickets: ``decision`` a confirmation, ``assignee`` an assignment, ``measure`` a
    disposal, and ``effective_at`` one of which a person states when it took effect."""

    decision: Decision | None
    assignee: str | None
    measure: Measure | None
    effective_at: datetime | None


class BulkSteps(DisposingSteps):
    """Steps on many tickets."""

    def bulk(
        self,
        action: BulkAction,
        ids: Sequence[str] | None = None,
        *,
        filters: Filters | None = None,
        limit: int = 1_000,
        reason: str = "",
        **given: Unpack[StepFields],
    ) -> BulkResult:
        """Take one step on many tickets, given by number or by a filter (the first ``limit`` in the queue's order).

        Each ticket is judged by itself: what its state or the rule of the second person does not allow is refused with
        a word, the rest is done in one transaction. A disposal seals the evidence of all of them first, and cannot be
        taken back.

        Raises:
            NothingChosenError: no ticket is given, or the filter finds none.
            UsageError: nothing or too much is given, or what the step needs is missing.
        """
        ids = self._named(ids, filters, limit)
        if action in (BulkAction.DISMISS, BulkAction.CONFIRM) or len(reason) > MAX_NOTE:
            self._require(reason)
        if action is BulkAction.DISPOSE and given.get("measure") is None:
            raise UsageError("A disposal needs a measure.", cure=f"Choose one of {', '.join(Measure)}.")
        wanted = self._wanted(action, given)
        if action is BulkAction.DISPOSE:
            return self._dispose_all(ids, wanted, reason)
        reasons, notes = self._prepared(action, ids, reason)
        until = timestamp(wanted.now + timedelta(minutes=self.settings.undo_minutes))
        with self.catalogue.write(row_locks=True) as connection:
            found = tickets_by_id(connection, ids, lock=True)
            self._same_keys(connection, ids, notes)
            changes, refused = self._judged(ids, found, partial(self._planned, wanted=wanted))
            token = self._new_id("B")
            self._write_all(connection, changes, _KINDS[action], {"bulk": True})
            done = tuple(ticket.ticket_id for ticket, _ in changes)
            if action is BulkAction.DISMISS:
                self._end_merged(connection, done, State.DISMISSED, _KINDS[action])
            self._add_notes(connection, notes, done)
            forget(connection, [ticket.ticket_id for ticket, _ in changes if ticket.state == State.DISMISSED])
            self._remember(connection, {number: reasons[number] for number in done if number in reasons})
            self._keep(connection, token, wanted, until, changes)
        return BulkResult(token, until, done, tuple(refused))

    def preview(
        self,
        action: BulkAction,
        ids: Sequence[str] | None = None,
        *,
        filters: Filters | None = None,
        limit: int = 1_000,
        **given: Unpack[StepFields],
    ) -> BulkResult:
        """What ``bulk`` would do now with the same, and what it would leave out; nothing is changed or sealed.

        Raises:
            UsageError: as ``bulk`` does; neither reason nor measure are asked for.
        """
        ids = self._named(ids, filters, limit)
        wanted = self._wanted(action, given)
        if action is BulkAction.DISPOSE:
            changes, refused = self._disposable(ids, wanted)
        else:
            with self.catalogue.read() as connection:
                found = tickets_by_id(connection, ids)
            changes, refused = self._judged(ids, found, partial(self._planned, wanted=wanted))
        return BulkResult(None, None, tuple(ticket.ticket_id for ticket, _ in changes), tuple(refused))

    def _named(self, ids: Sequence[str] | None, filters: Filters | None, limit: int) -> list[str]:
        """The tickets that a step is to be taken on, each once, for who may take it."""
        self.who.require(Right.TICKETS_WORK)
        if (ids is None) == (filters is None):
            raise UsageError("Give either numbers of tickets or a filter.", cure="One of the two.")
        if (len(ids) if ids is not None else limit) > MOST:
            raise UsageError(f"A bulk step takes at most {MOST} tickets.", cure="Take it in parts.")
        if ids is None:
            with self.catalogue.read() as connection:
                ids = [ticket.ticket_id for ticket in list_tickets(connection, filters or Filters(), limit=limit)]
        if not ids:
            what = "No ticket is chosen." if filters is None else "The filter finds no ticket."
            raise NothingChosenError(what, cure="Nothing was changed; choose tickets, or another filter.")
        return list(dict.fromkeys(ids))

    def undo(self, token: str) -> BulkResult:
        """Take a bulk step back 撤回: those of its tickets that nobody changed since are as they were.

        Raises:
            NotPermittedError: somebody else took the step.
            TransitionError: its time has passed, or it was taken back before.
        """
        self.who.require(Right.TICKETS_WORK)
        b, i = bulk_actions.c, bulk_items.c
        with self.catalogue.write(row_locks=True) as connection:
            row = connection.execute(sa.select(bulk_actions).where(b.token == token).with_for_update()).one_or_none()
            if row is None:
                raise UsageError(f"There is no bulk step {token!r}.", cure="Check the token.")
            if row.actor != self.who.name:
                raise NotPermittedError(f"{row.actor} took this step.", cure="Only they can take it back.")
            if row.undone_at is not None or row.until < timestamp():
                raise TransitionError(
                    f"The step {token} was taken back before, or its time ran out at {row.until}.",
                    cure="Correct the tickets one by one.",
                )
            items = connection.execute(sa.select(i.ticket_id, i.before, i.version).where(i.token == token)).all()
            found = {t.ticket_id: t for t in tickets_by_id(connection, [item.ticket_id for item in items], lock=True)}
            changes: list[tuple[Ticket, dict[str, object]]] = []
            refused: list[Refusal] = []
            for item in items:
                ticket = found[item.ticket_id]
                if ticket.version == item.version:
                    changes.append((ticket, json.loads(item.before)))
                else:
                    refused.append(Refusal(item.ticket_id, Why.CHANGED))
            self._write_all(connection, changes, "ticket.undone", {"bulk": True, "undid": row.action})
            forget(connection, [ticket.ticket_id for ticket, _ in changes])
            connection.execute(bulk_actions.update().where(b.token == token).values(undone_at=timestamp()))
        return BulkResult(token, row.until, tuple(ticket.ticket_id for ticket, _ in changes), tuple(refused))

    def _wanted(self, action: BulkAction, given: StepFields) -> Wanted:
        decision, assignee = given.get("decision"), given.get("assignee")
        measure, effective_at = given.get("measure"), given.get("effective_at")
        if action is BulkAction.CONFIRM and decision is None:
            raise UsageError("A confirmation needs a decision.", cure="Choose illegal, harmful or violation.")
        named = assignee or ""
        if action is BulkAction.ASSIGN and (not named.strip() or len(named) > 128 or not named.isprintable()):
            raise UsageError("Whom to assign the tickets to is missing or no name.", cure="Name an account.")
        if action is not BulkAction.DISPOSE and (measure is not None or effective_at is not None):
            raise UsageError("Only a disposal has a measure and a time of effect.", cure="Leave both out.")
        now = datetime.now(UTC)
        return Wanted(
            action=action,
            now=now,
            decision=decision if action is BulkAction.CONFIRM else None,
            assignee=self.who.name if action is BulkAction.CLAIM else assignee,
            measure=measure.value if measure else None,
            effective=effective_of(effective_at, now),
        )

    def _prepared(
        self, action: BulkAction, ids: Sequence[str], reason: str
    ) -> tuple[dict[str, list[Reason]], SealedNotes]:
        """What needs the keys, done before the transaction: blinded reasons of dismissals, sealed notes."""
        reasons: dict[str, list[Reason]] = {}
        if action is BulkAction.DISMISS and self.settings.dismissal_days:
            with self.catalogue.read() as connection:
                reasons = reasons_of(connection, self.bodies, ids)
        return reasons, self._sealed_notes(ids, reason)

    def _planned(self, ticket: Ticket, wanted: Wanted) -> dict[str, object]:
        """The columns that a step changes in a ticket, or why it may not."""
        at = timestamp(wanted.now)
        if wanted.action in (BulkAction.CLAIM, BulkAction.ASSIGN, BulkAction.RELEASE):
            return self._planned_holder(ticket, wanted, at)
        if not self._decides(ticket):
            raise LeftOutError(Why.HELD, assignee=ticket.assignee or "", at=ticket.assigned_at or "")
        if ticket.pending is not None:
            raise LeftOutError(Why.WAITS)
        if wanted.decision is None:
            return {
                **moved_to(ticket, State.DISMISSED),
                "decision": None,
                "triaged_by": self.who.name,
                "triaged_at": at,
            }
        default = default_decision(ticket.category, ticket.subtype, self.settings.defaults)
        if below(wanted.decision, default):
            raise LeftOutError(Why.BELOW, decision=default.value)
        if ticket.blocked_at is not None:
            raise LeftOutError(Why.BLOCKED)
        return {
            **moved_to(ticket, State.CONFIRMED),
            "decision": wanted.decision.value,
            "triaged_by": self.who.name,
            "triaged_at": at,
            **police_columns(ticket, wanted.decision, wanted.now, self.settings),
        }

    def _planned_holder(self, ticket: Ticket, wanted: Wanted, at: str) -> dict[str, object]:
        if wanted.action is BulkAction.CLAIM and ticket.assignee not in (None, self.who.name):
            raise LeftOutError(Why.TAKEN, assignee=ticket.assignee, at=ticket.assigned_at or "")
        try:
            self._may_move_from(ticket)
        except NotPermittedError as error:
            raise LeftOutError(Why.ANOTHERS, assignee=ticket.assignee or "") from error
        if ticket.state != State.DISMISSED and ticket.state not in OPEN:
            raise LeftOutError(Why.SETTLED, state=ticket.state)
        if wanted.action is BulkAction.RELEASE:
            back = ticket.state == State.TRIAGE and ticket.pending is None
            state = State.DETECTED if back else State(ticket.state)
            return {"state": state.value, "part": ticket.part, "assignee": None, "assigned_at": None}
        loose = ticket.state in (State.DETECTED, State.DISMISSED)
        given = {"assignee": wanted.assignee, "assigned_at": at}
        return (
            {**moved_to(ticket, State.TRIAGE), **given}
            if loose
            else {"state": ticket.state, "part": ticket.part, **given}
        )

    def _keep(
        self,
        connection: sa.Connection,
        token: str,
        wanted: Wanted,
        until: str,
        changes: Sequence[tuple[Ticket, Mapping[str, object]]],
    ) -> None:
        connection.execute(
            bulk_actions.insert().values(
                token=token, actor=self.who.name, action=wanted.action.value, at=timestamp(wanted.now), until=until
            )
        )
        rows = [
            {
                "token": token,
                "ticket_id": ticket.ticket_id,
                "before": json.dumps({name: getattr(ticket, name) for name in _RESTORED}),
                "version": ticket.version + 1,
            }
            for ticket, _ in changes
        ]
        insert_rows(connection, bulk_items, rows)
