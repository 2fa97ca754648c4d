"""Triage 研判: claim, assign, release, confirm, dismiss, note; going below the default waits for a second person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from errors import NotPermittedError, UsageError
from retention.catalogue.tables import timestamp
from tickets.actors import Right
from tickets.categories import below, default_decision
from tickets.errors import HeldError, TicketChangedError, TransitionError
from tickets.queue import Ticket, get_ticket
from tickets.recall import Reason, forget, reasons_of, remember
from tickets.sealing import SealedEvidence, commit_evidence
from tickets.states import OPEN, TO_DISPOSE, TRANSITIONS, Decision, Measure, State
from tickets.steps.base import Steps, as_time
from tickets.steps.dating import due_columns, police_columns
from tickets.tables_work import approvals
from tickets.weights import weight_of

_LOOSE = (State.DETECTED, State.DISMISSED)


class TriageSteps(Steps):
    """Steps up to the decision."""

    def claim(self, ticket_id: str) -> Ticket:
        """Take a ticket 领取: it is the actor's, with the time of assignment; before triage it goes under triage.

        Raises:
            HeldError: somebody else has it.
            TransitionError: it is settled.
        """
        self.who.require(Right.TICKETS_WORK)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            if ticket.assignee not in (None, self.who.name):
                raise HeldError(
                    f"The ticket {ticket_id} was taken by {ticket.assignee} at {ticket.assigned_at}.",
                    cure="Take another one, ask them to hand it over, or take it over with a reason.",
                )
            if ticket.assignee == self.who.name and ticket.state not in _LOOSE:
                return ticket
            return self._give(connection, ticket, self.who.name, "ticket.claimed")

    def take_over(self, ticket_id: str, reason: str) -> Ticket:
        """Take a ticket that somebody else has 接手: illegal content must not wait until they are back.

        The event says whose it was and since when; the reason is kept, sealed, as a note. What nobody has is claimed.

        Raises:
            TransitionError: it is settled.
        """
        self.who.require(Right.TICKETS_WORK)
        self._require(reason)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            if ticket.assignee == self.who.name and ticket.state not in _LOOSE:
                return ticket
            self._note(connection, ticket_id, reason)
            if ticket.assignee in (None, self.who.name):
                return self._give(connection, ticket, self.who.name, "ticket.claimed")
            was = {"was": ticket.assignee, "since": ticket.assigned_at}
            return self._give(connection, ticket, self.who.name, "ticket.taken_over", was)

    def assign(self, ticket_id: str, assignee: str, reason: str = "") -> Ticket:
        """Give a ticket to somebody 指派. One's own or a free one anybody may hand over; another's, who may assign.

        Raises:
            NotPermittedError: it is somebody else's, and the actor may not assign.
        """
        self.who.require(Right.TICKETS_WORK)
        if not assignee.strip() or len(assignee) > 128 or not assignee.isprintable():
            raise UsageError("The name of whom to give the ticket to is missing or too long.", cure="Name an account.")
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            self._may_move_from(ticket)
            self._note(connection, ticket_id, reason)
            return self._give(connection, ticket, assignee, "ticket.assigned")

    def release(self, ticket_id: str, reason: str = "") -> Ticket:
        """Give a ticket back 退回: it is free again, with the clocks it has."""
        self.who.require(Right.TICKETS_WORK)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            if ticket.assignee is None:
                raise TransitionError(f"The ticket {ticket_id} is nobody's.", cure="Nothing is to be done.")
            self._may_move_from(ticket)
            self._note(connection, ticket_id, reason)
            values: dict[str, object] = {"assignee": None, "assigned_at": None}
            if ticket.state == State.TRIAGE and ticket.pending is None:
                return self._move(connection, ticket, State.DETECTED, "ticket.released", values)
            return self._change(connection, ticket, "ticket.released", values)

    def dismiss(self, ticket_id: str, reason: str) -> Ticket:
        """Find that there is nothing illegal 排除. Starts no clock.

        The text is remembered with the rules and versions that spoke: the same finding is dismissed by itself for as
        long as the settings say. Complaints, orders and what a person opened are never remembered.

        Raises:
            HeldError: somebody else has it, and the actor may not assign.
        """
        self.who.require(Right.TICKETS_WORK)
        self._require(reason)
        with self.catalogue.read() as connection:
            reasons = reasons_of(connection, self.bodies, [ticket_id])
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            self._may_decide(ticket)
            self._note(connection, ticket_id, reason)
            self._remember(connection, reasons)
            values = {**self._decided(connection, ticket), "decision": None}
            return self._move(connection, ticket, State.DISMISSED, "ticket.dismissed", values)

    def confirm(self, ticket_id: str, decision: Decision, reason: str) -> Ticket:
        """Find what it is 定性: 违法, 不良 or 违规. Starts the police clock where it applies, never the ten days.

        A decision milder than the subtype's default waits for a second person: the ticket stays under triage with
        ``pending`` set (see ``approve``). What was blocked automatically counts as disposed of from the block.

        Raises:
            HeldError: somebody else has it, and the actor may not assign.
        """
        self.who.require(Right.TICKETS_WORK)
        self._require(reason)
        sealed = self._seal_blocked(ticket_id, decision)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            self._may_decide(ticket)
            self._note(connection, ticket_id, reason)
            default = default_decision(ticket.category, ticket.subtype, self.settings.defaults)
            if below(decision, default):
                return self._ask_decision(connection, ticket, decision, default)
            return self._confirmed(connection, ticket, decision, self.who.name, {}, sealed)

    def note(self, ticket_id: str, text: str) -> None:
        """Write a note; it changes nothing else."""
        self.who.require(Right.TICKETS_WORK)
        self._require(text)
        with self.catalogue.write(row_locks=True) as connection:
            self._ticket(connection, ticket_id)
            self._note(connection, ticket_id, text)
            self._event(connection, "ticket.noted", f"ticket:{ticket_id}", {})

    def set_reach(self, ticket_id: str, reach: int) -> Ticket:
        """Record how many saw it (views and reposts): it weighs in the queue's order."""
        self.who.require(Right.TICKETS_WORK)
        if not 0 <= reach < 1 << 62:
            raise UsageError("The reach must be a count of views.", cure="Give a number from 0 on.")
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            values = {"reach": reach, "weight": weight_of(ticket.severity, reach)}
            return self._change(connection, ticket, "ticket.reach", values)

    def _give(
        self,
        connection: sa.Connection,
        ticket: Ticket,
        assignee: str,
        kind: str,
        said: Mapping[str, object] | None = None,
    ) -> Ticket:
        values: dict[str, object] = {"assignee": assignee, "assigned_at": timestamp()}
        if ticket.state in _LOOSE:
            if ticket.state == State.DISMISSED:
                forget(connection, [ticket.ticket_id])
            return self._move(connection, ticket, State.TRIAGE, kind, values, said)
        if ticket.state not in OPEN:
            raise TransitionError(
                f"The ticket {ticket.ticket_id} is {ticket.state} ({State(ticket.state).chinese}): it wants no work.",
                cure="Take another one.",
            )
        return self._change(connection, ticket, kind, values, {**values, **(said or {})})

    def _decides(self, ticket: Ticket) -> bool:
        """Whether it is free, the actor's, or the actor could take it from whose it is anyway."""
        return ticket.assignee in (None, self.who.name) or self.who.may(Right.TICKETS_ASSIGN)

    def _may_decide(self, ticket: Ticket) -> None:
        """What one is working on, another does not decide meanwhile."""
        if not self._decides(ticket):
            raise HeldError(
                f"The ticket {ticket.ticket_id} is {ticket.assignee}'s since {ticket.assigned_at}.",
                cure="Take it over first, with a reason, or leave it to them.",
            )

    def _may_move_from(self, ticket: Ticket) -> None:
        if not self._decides(ticket):
            raise NotPermittedError(
                f"The ticket {ticket.ticket_id} is {ticket.assignee}'s.",
                cure="Ask them, or a compliance head 合规负责人, to hand it over.",
            )

    def _decided(self, connection: sa.Connection, ticket: Ticket) -> dict[str, object]:
        """Columns of a decision; an approval that was waiting is withdrawn."""
        self._withdraw(connection, ticket)
        return {"triaged_by": self.who.name, "triaged_at": timestamp(), "pending": None}

    def _withdraw(self, connection: sa.Connection, ticket: Ticket) -> None:
        if ticket.pending is not None:
            connection.execute(
                approvals.update()
                .where(approvals.c.approval_id == ticket.pending, approvals.c.outcome.is_(None))
                .values(outcome="withdrawn", decided_by=self.who.name, decided_at=timestamp())
            )

    def _ask_decision(self, connection: sa.Connection, ticket: Ticket, decision: Decision, default: Decision) -> Ticket:
        if ticket.state not in TO_DISPOSE or ticket.pending is not None:
            raise TransitionError(
                f"The ticket {ticket.ticket_id} is {ticket.state}"
                + (" and waits for a second person already." if ticket.pending else ": it cannot be decided now."),
                cure="Look at it again with `liucun tickets show`.",
            )
        approval = self._ask(connection, ticket, "decision", {"decision": decision.value, "default": default.value})
        values = {"pending": approval}
        body = {"approval": approval, "decision": decision.value, "default": default.value}
        if ticket.state == State.TRIAGE:
            return self._change(connection, ticket, "ticket.decision_proposed", values, body)
        return self._move(connection, ticket, State.TRIAGE, "ticket.decision_proposed", values, body)

    def _ask(self, connection: sa.Connection, ticket: Ticket, kind: str, value: dict[str, object]) -> str:
        approval = self._new_id("A")
        connection.execute(
            approvals.insert().values(
                approval_id=approval,
                ticket_id=ticket.ticket_id,
                kind=kind,
                value=json.dumps(value),
                asked_by=self.who.name,
                asked_at=timestamp(),
            )
        )
        return approval

    def _seal_blocked(self, ticket_id: str, decision: Decision | None = None) -> SealedEvidence | None:
        """Evidence of what was blocked automatically, whose confirmation is its disposal; None of anything else.

        ``decision``: nothing is sealed yet when it will wait for a second person.
        """
        with self.catalogue.read() as connection:
            ticket = get_ticket(connection, ticket_id)
        default = default_decision(ticket.category, ticket.subtype, self.settings.defaults)
        waits = decision is not None and below(decision, default)
        if ticket.blocked_at is None or waits or State.CONFIRMED not in TRANSITIONS[State(ticket.state)]:
            return None
        return self._seal(ticket_id)

    def _confirmed(
        self,
        connection: sa.Connection,
        ticket: Ticket,
        decision: Decision,
        by: str,
        body: dict[str, object],
        sealed: SealedEvidence | None,
    ) -> Ticket:
        if sealed is not None:
            self._same_version(ticket, sealed)
        now = datetime.now(UTC)
        values = {
            **self._decided(connection, ticket),
            "triaged_by": by,
            "decision": decision.value,
            **police_columns(ticket, decision, now, self.settings),
        }
        confirmed = self._move(connection, ticket, State.CONFIRMED, "ticket.confirmed", values, body)
        if ticket.blocked_at is None:
            return confirmed
        if sealed is None:
            raise TicketChangedError(
                f"The ticket {ticket.ticket_id} was blocked in the same moment.", cure="Look at it, then repeat."
            )
        commit_evidence(connection, sealed, self.who.name)
        blocked = as_time(ticket.blocked_at)
        disposal = {
            "measure": Measure.MASK.value,
            "ordered_at": ticket.blocked_at,
            "effective_at": ticket.blocked_at,
            "effect": "blocked",
            **due_columns(decision.value, ticket.own_due_at, blocked, self.calendar, self.settings),
        }
        return self._move(
            connection, confirmed, State.DISPOSED, "ticket.disposed", disposal, digests_of(sealed, ticket.ticket_id)
        )

    def _remember(self, connection: sa.Connection, reasons: Mapping[str, Sequence[Reason]]) -> None:
        if not self.settings.dismissal_days:
            return
        until = timestamp(datetime.now(UTC) + timedelta(days=self.settings.dismissal_days))
        rows = {
            reason: dict(zip(("text_blind", "rule", "version"), reason, strict=True), ticket_id=ticket_id, until=until)
            for ticket_id, found in reasons.items()
            for reason in found
        }
        remember(connection, list(rows.values()))


def digests_of(sealed: SealedEvidence, ticket_id: str) -> dict[str, object]:
    """What the event of a ticket's disposal says of its evidence."""
    own = sealed.own[ticket_id]
    return {"evidence_sha256": own.sha256, "evidence_sm3": own.sm3, "evidence_segment": sealed.manifest.segment_id}
