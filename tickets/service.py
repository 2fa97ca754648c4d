"""What people do with tickets: every step checks the state, writes the ticket and appends an event in one transaction.

Two people acting at once: the one whose step comes second is told so (``version``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from errors import UsageError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies, note_context
from tickets.calendar.working_days import WorkingCalendar
from tickets.clocks import TEN_WORKING_DAYS, deadline
from tickets.errors import TicketChangedError, TransitionError
from tickets.queue import Ticket, get_ticket
from tickets.states import TRANSITIONS, Decision, Measure, State
from tickets.tables import notes as note_table
from tickets.tables import tickets as table

MAX_NOTE = 10_000


@dataclass(frozen=True, slots=True)
class Desk:
    """A person at work on the queue of a store: ``actor`` is who acts."""

    catalogue: Catalogue
    bodies: Bodies
    calendar: WorkingCalendar
    actor: str

    def claim(self, ticket_id: str) -> Ticket:
        """Take a ticket 领取: it is under triage and carries the time of assignment.

        Raises:
            TransitionError: somebody else has it, or it is past triage.
        """
        with self.catalogue.write() as connection:
            ticket = get_ticket(connection, ticket_id)
            if ticket.assignee not in (None, self.actor):
                raise TransitionError(
                    f"The ticket {ticket_id} was taken by {ticket.assignee} at {ticket.assigned_at}.",
                    cure="Take another one, or ask them to hand it over.",
                )
            return self._move(
                connection, ticket, State.TRIAGE, "ticket.claimed", {"assignee": self.actor, "assigned_at": timestamp()}
            )

    def dismiss(self, ticket_id: str, reason: str) -> Ticket:
        """Find that there is nothing illegal 排除. Starts no clock."""
        return self._decide(ticket_id, State.DISMISSED, None, reason)

    def confirm(self, ticket_id: str, decision: Decision, reason: str) -> Ticket:
        """Find what it is 定性: 违法, 不良 or 违规. Starts no ten-day clock; disposal does."""
        return self._decide(ticket_id, State.CONFIRMED, decision, reason)

    def dispose(
        self,
        ticket_id: str,
        measure: Measure,
        *,
        reason: str = "",
        ordered_at: datetime | None = None,
        effective_at: datetime | None = None,
    ) -> Ticket:
        """Record the disposal 处置: for what is illegal the ten working days count from when the measure took effect.

        Without ``effective_at`` they count provisionally from the order.

        Raises:
            TransitionError: the ticket is not confirmed.
            UsageError: a time lies in the future, before detection, or effect before order.
        """
        ordered = (ordered_at or effective_at or datetime.now(UTC)).astimezone(UTC)
        effective = (effective_at or ordered).astimezone(UTC)
        with self.catalogue.write() as connection:
            ticket = get_ticket(connection, ticket_id)
            self._check_times(ticket, ordered, effective)
            values: dict[str, object] = {
                "measure": measure.value,
                "ordered_at": timestamp(ordered),
                "effective_at": timestamp(effective),
            }
            if ticket.decision == Decision.ILLEGAL:
                due = deadline(TEN_WORKING_DAYS, effective, self.calendar)
                values |= {
                    "due_on": due.due_on.isoformat(),
                    "due_provisional": due.provisional,
                    "calendar_version": due.calendar,
                }
            self._note(connection, ticket_id, reason)
            return self._move(connection, ticket, State.DISPOSED, "ticket.disposed", values)

    def report(self, ticket_id: str, receipt: str = "") -> Ticket:
        """Record that it was reported to the authority 上报; submission stops the clock."""
        with self.catalogue.write() as connection:
            ticket = get_ticket(connection, ticket_id)
            if ticket.decision != Decision.ILLEGAL:
                raise TransitionError(
                    f"The ticket {ticket_id} is not 违法: there is no ten-day report for it.", cure="Close it instead."
                )
            values: dict[str, object] = {"reported_at": timestamp(), "receipt": receipt or None}
            return self._move(connection, ticket, State.REPORTED, "ticket.reported", values)

    def reject(self, ticket_id: str, reason: str) -> Ticket:
        """Record that the authority sent the report back: it is open again with its original date."""
        with self.catalogue.write() as connection:
            ticket = get_ticket(connection, ticket_id)
            self._note(connection, ticket_id, reason)
            return self._move(connection, ticket, State.DISPOSED, "ticket.report_rejected", {"reported_at": None})

    def acknowledge(self, ticket_id: str, receipt: str) -> Ticket:
        """Record the authority's receipt 回执; submitted is not acknowledged."""
        if not receipt.strip():
            raise UsageError("A receipt number is missing.", cure="Give it with --receipt.")
        with self.catalogue.write() as connection:
            ticket = get_ticket(connection, ticket_id)
            values: dict[str, object] = {"acknowledged_at": timestamp(), "receipt": receipt}
            return self._move(connection, ticket, State.ACKNOWLEDGED, "ticket.acknowledged", values)

    def close(self, ticket_id: str) -> Ticket:
        """Close a ticket 办结: an illegal one once its report was acknowledged, another once it was disposed of."""
        with self.catalogue.write() as connection:
            ticket = get_ticket(connection, ticket_id)
            if ticket.state == State.DISPOSED and ticket.decision == Decision.ILLEGAL:
                raise TransitionError(
                    f"The ticket {ticket_id} is 违法 and not reported yet.",
                    cure="Report it, and close it after its receipt.",
                )
            return self._move(connection, ticket, State.CLOSED, "ticket.closed", {"closed_at": timestamp()})

    def reverse(self, ticket_id: str, reason: str) -> Ticket:
        """Take a disposal back after an appeal 申诉成立; one that was reported needs a correction."""
        with self.catalogue.write() as connection:
            ticket = get_ticket(connection, ticket_id)
            self._require(reason)
            self._note(connection, ticket_id, reason)
            kind = "ticket.reversed" if ticket.reported_at is None else "ticket.reversed_after_report"
            return self._move(connection, ticket, State.REVERSED, kind, {"closed_at": timestamp()})

    def note(self, ticket_id: str, text: str) -> None:
        """Write a note; it changes nothing else."""
        self._require(text)
        with self.catalogue.write() as connection:
            get_ticket(connection, ticket_id)
            self._note(connection, ticket_id, text)
            events.append(connection, kind="ticket.noted", actor=self.actor, subject=f"ticket:{ticket_id}", body={})

    def _decide(self, ticket_id: str, state: State, decision: Decision | None, reason: str) -> Ticket:
        self._require(reason)
        with self.catalogue.write() as connection:
            ticket = get_ticket(connection, ticket_id)
            self._note(connection, ticket_id, reason)
            values: dict[str, object] = {
                "decision": decision.value if decision else None,
                "triaged_by": self.actor,
                "triaged_at": timestamp(),
            }
            kind = "ticket.confirmed" if decision else "ticket.dismissed"
            return self._move(connection, ticket, state, kind, values)

    def _move(
        self, connection: sa.Connection, ticket: Ticket, state: State, kind: str, values: dict[str, object]
    ) -> Ticket:
        now = State(ticket.state)
        if state not in TRANSITIONS[now]:
            raise TransitionError(
                f"The ticket {ticket.ticket_id} is {now.value} ({now.chinese}): it cannot become {state.value}.",
                cure=f"From here it can become {', '.join(sorted(TRANSITIONS[now])) or 'nothing more'}.",
            )
        moved = connection.execute(
            table.update()
            .where(table.c.ticket_id == ticket.ticket_id, table.c.version == ticket.version)
            .values(**values, state=state.value, version=ticket.version + 1)
        )
        if moved.rowcount != 1:
            raise TicketChangedError(
                f"Somebody else changed the ticket {ticket.ticket_id} in the same moment.",
                cure="Look at it again, then repeat the step if it is still right.",
            )
        body = {"from": now.value, "to": state.value, **values}
        events.append(connection, kind=kind, actor=self.actor, subject=f"ticket:{ticket.ticket_id}", body=body)
        return get_ticket(connection, ticket.ticket_id)

    def _note(self, connection: sa.Connection, ticket_id: str, text: str) -> None:
        if not text.strip():
            return
        at = timestamp()
        sealed = self.bodies.seal(text.encode("utf-8", "replace"), note_context(ticket_id, at))
        connection.execute(note_table.insert().values(ticket_id=ticket_id, at=at, actor=self.actor, body=sealed))

    @staticmethod
    def _require(text: str) -> None:
        if not text.strip():
            raise UsageError(
                "A reason is missing.", cure="Say in a few words why; it is kept, sealed, with the ticket."
            )
        if len(text) > MAX_NOTE:
            raise UsageError(f"The text is longer than {MAX_NOTE} characters.", cure="Shorten it.")

    @staticmethod
    def _check_times(ticket: Ticket, ordered: datetime, effective: datetime) -> None:
        now = datetime.now(UTC)
        if ordered > now or effective > now:
            raise UsageError("A disposal cannot lie in the future.", cure="Give the time at which it happened.")
        if effective < ordered:
            raise UsageError("A measure cannot take effect before it was ordered.", cure="Check both times.")
        if timestamp(ordered) < min(ticket.detected_at, ticket.event_time):
            raise UsageError(
                f"The disposal lies before the content itself ({ticket.event_time}).",
                cure="Check the time and its zone.",
            )
