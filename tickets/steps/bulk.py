"""One step on many tickets, written set-wise, with a token that takes it back for a while."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from errors import BusyError, NotPermittedError, UsageError
from retention.catalogue import events
from retention.catalogue.sets import among, insert_rows
from retention.catalogue.tables import timestamp
from tickets.actors import Right
from tickets.bodies import note_context, seal_beside
from tickets.categories import below, default_decision
from tickets.errors import TransitionError
from tickets.queue import Filters, Ticket, list_tickets, tickets_by_id
from tickets.recall import Reason, forget, reasons_of
from tickets.retaining import text_keys, took_in
from tickets.states import OPEN, TRANSITIONS, Decision, State, part_of
from tickets.steps.dating import police_columns
from tickets.steps.refusals import LeftOutError, Refusal, Why
from tickets.steps.reporting import ReportingSteps
from tickets.tables import notes as note_table
from tickets.tables import tickets as table
from tickets.tables_work import bulk_actions, bulk_items

MOST: Final = 10_000
_RESTORED: Final = ("state", "part", "assignee", "assigned_at", "decision", "triaged_by", "triaged_at")
"""What a taken-back step leaves as it was; a police clock that was started goes on."""


class BulkAction(StrEnum):
    """Steps that may be taken on many tickets at once."""

    CLAIM = "claim"
    ASSIGN = "assign"
    RELEASE = "release"
    DISMISS = "dismiss"
    CONFIRM = "confirm"


_KINDS: Final = {
    BulkAction.CLAIM: "ticket.claimed",
    BulkAction.ASSIGN: "ticket.assigned",
    BulkAction.RELEASE: "ticket.released",
    BulkAction.DISMISS: "ticket.dismissed",
    BulkAction.CONFIRM: "ticket.confirmed",
}


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of a bulk step: ``token`` undoes it until ``until``."""

    token: str
    until: str
    done: tuple[str, ...]
    refusals: tuple[Refusal, ...]

    @property
    def refused(self) -> tuple[tuple[str, str], ...]:
        """(Ticket, why not in English)."""
        return tuple((one.ticket_id, str(one)) for one in self.refusals)

    def as_json(self) -> dict[str, object]:
        """As programs read it."""
        return {"token": self.token, "until": self.until, "done": list(self.done), "refused": list(self.refused)}


@dataclass(frozen=True, slots=True)
class _Wanted:
    action: BulkAction
    decision: Decision | None
    assignee: str | None
    now: datetime


class BulkSteps(ReportingSteps):
    """Steps on many tickets."""

    def bulk(
        self,
        action: BulkAction,
        ids: Sequence[str] | None = None,
        *,
        filters: Filters | None = None,
        decision: Decision | None = None,
        assignee: str | None = None,
        reason: str = "",
        limit: int = 1_000,
    ) -> BulkResult:
        """Take one step on many tickets, given by number or by a filter (the first ``limit`` in the queue's order).

        Each ticket is judged by itself: what its state or the rule of the second person does not allow is refused with
        a word, the rest is done in one transaction.

        Raises:
            UsageError: nothing or too much is given, or what the step needs is missing.
        """
        self.who.require(Right.TICKETS_WORK)
        if (ids is None) == (filters is None):
            raise UsageError("Give either numbers of tickets or a filter.", cure="One of the two.")
        if (len(ids) if ids is not None else limit) > MOST:
            raise UsageError(f"A bulk step takes at most {MOST} tickets.", cure="Take it in parts.")
        wanted = self._wanted(action, decision, assignee, reason)
        if ids is None:
            with self.catalogue.read() as connection:
                ids = [ticket.ticket_id for ticket in list_tickets(connection, filters or Filters(), limit=limit)]
        ids = list(dict.fromkeys(ids))
        reasons, notes, keys, used = self._prepared(action, ids, reason)
        until = timestamp(wanted.now + timedelta(minutes=self.settings.undo_minutes))
        with self.catalogue.write(row_locks=True) as connection:
            found = {ticket.ticket_id: ticket for ticket in tickets_by_id(connection, ids, lock=True)}
            if keys and text_keys(connection, ids) != keys:
                raise BusyError(
                    "The keys of these tickets' texts changed while the note to them was sealed.",
                    cure="Nothing was changed; take the step again.",
                )
            refused = [Refusal(number, Why.UNKNOWN) for number in ids if number not in found]
            changes: list[tuple[Ticket, dict[str, object]]] = []
            for ticket in found.values():
                try:
                    changes.append((ticket, self._planned(ticket, wanted)))
                except LeftOutError as error:
                    refused.append(Refusal(ticket.ticket_id, error.why, error.values))
            token = self._new_id("B")
            self._write_all(connection, changes, _KINDS[action], {"bulk": True})
            done = tuple(ticket.ticket_id for ticket, _ in changes)
            if action is BulkAction.DISMISS:
                self._end_merged(connection, done, State.DISMISSED, _KINDS[action])
            chosen = set(done)
            if written := [note for note in notes if note["ticket_id"] in chosen]:
                insert_rows(connection, note_table, written)
                for key_id, numbers in used.items():
                    took_in(connection, chosen.intersection(numbers), key_id)
            forget(connection, [ticket.ticket_id for ticket, _ in changes if ticket.state == State.DISMISSED])
            self._remember(connection, {number: reasons[number] for number in done if number in reasons})
            self._keep(connection, token, wanted, until, changes)
        return BulkResult(token, until, done, tuple(refused))

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

    def _wanted(self, action: BulkAction, decision: Decision | None, assignee: str | None, reason: str) -> _Wanted:
        if action in (BulkAction.DISMISS, BulkAction.CONFIRM):
            self._require(reason)
        if action is BulkAction.CONFIRM and decision is None:
            raise UsageError("A confirmation needs a decision.", cure="Choose illegal, harmful or violation.")
        named = assignee or ""
        if action is BulkAction.ASSIGN and (not named.strip() or len(named) > 128 or not named.isprintable()):
            raise UsageError("Whom to assign the tickets to is missing or no name.", cure="Name an account.")
        return _Wanted(action, decision, self.who.name if action is BulkAction.CLAIM else assignee, datetime.now(UTC))

    def _prepared(
        self, action: BulkAction, ids: Sequence[str], reason: str
    ) -> tuple[dict[str, list[Reason]], list[dict[str, object]], dict[str, str | None], dict[str, list[str]]]:
        """What needs the keys, done before the transaction: blinded reasons of dismissals; sealed notes, the tickets'
        keys as they were seen then, and the tickets by the key that their note is under."""
        reasons: dict[str, list[Reason]] = {}
        if action is BulkAction.DISMISS and self.settings.dismissal_days:
            with self.catalogue.read() as connection:
                reasons = reasons_of(connection, self.bodies, ids)
        at = timestamp()
        text = reason.encode("utf-8", "replace")
        with self.catalogue.read() as connection:
            keys = text_keys(connection, ids if reason.strip() else ())
        notes: list[dict[str, object]] = []
        used: dict[str, list[str]] = {}
        for number in ids if reason.strip() else ():
            body, key_id = seal_beside(self.bodies, text, note_context(number, at), keys.get(number), at)
            notes.append({"ticket_id": number, "at": at, "actor": self.who.name, "body": body})
            used.setdefault(key_id, []).append(number)
        return reasons, notes, keys, used

    def _planned(self, ticket: Ticket, wanted: _Wanted) -> dict[str, object]:
        """The columns that a step changes in a ticket, or why it may not."""
        at = timestamp(wanted.now)
        if wanted.action in (BulkAction.CLAIM, BulkAction.ASSIGN, BulkAction.RELEASE):
            return self._planned_holder(ticket, wanted, at)
        if not self._decides(ticket):
            raise LeftOutError(Why.HELD, assignee=ticket.assignee or "", at=ticket.assigned_at or "")
        if ticket.pending is not None:
            raise LeftOutError(Why.WAITS)
        if wanted.decision is None:
            return {**_to(ticket, State.DISMISSED), "decision": None, "triaged_by": self.who.name, "triaged_at": at}
        default = default_decision(ticket.category, ticket.subtype, self.settings.defaults)
        if below(wanted.decision, default):
            raise LeftOutError(Why.BELOW, decision=default.value)
        if ticket.blocked_at is not None:
            raise LeftOutError(Why.BLOCKED)
        return {
            **_to(ticket, State.CONFIRMED),
            "decision": wanted.decision.value,
            "triaged_by": self.who.name,
            "triaged_at": at,
            **police_columns(ticket, wanted.decision, wanted.now, self.settings),
        }

    def _planned_holder(self, ticket: Ticket, wanted: _Wanted, at: str) -> dict[str, object]:
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
            {**_to(ticket, State.TRIAGE), **given} if loose else {"state": ticket.state, "part": ticket.part, **given}
        )

    def _write_all(
        self,
        connection: sa.Connection,
        changes: Sequence[tuple[Ticket, Mapping[str, object]]],
        kind: str,
        said: Mapping[str, object],
    ) -> None:
        """Write columns and events. The rows are held, so a changed version cannot slip in between."""
        alike: dict[tuple[tuple[str, object], ...], list[str]] = {}
        for ticket, values in changes:
            alike.setdefault(tuple(sorted(values.items())), []).append(ticket.ticket_id)
        for columns, ids in alike.items():
            chosen = among(connection, table.c.ticket_id, ids)
            connection.execute(table.update().where(chosen).values(**dict(columns), version=table.c.version + 1))
        events.append_many(
            connection,
            [
                (
                    f"ticket:{ticket.ticket_id}",
                    {"from": ticket.state, "to": values["state"], **_shown(values), **said},
                )
                for ticket, values in changes
            ],
            kind=kind,
            actor=self.who.name,
        )

    def _keep(
        self,
        connection: sa.Connection,
        token: str,
        wanted: _Wanted,
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


def _to(ticket: Ticket, state: State) -> dict[str, object]:
    if ticket.state == State.MERGED or state not in TRANSITIONS[State(ticket.state)]:
        raise LeftOutError(Why.STATE, state=ticket.state, wanted=state.value)
    return {"state": state.value, "part": int(part_of(state))}


def _shown(values: Mapping[str, Any]) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in ("state", "part")}
