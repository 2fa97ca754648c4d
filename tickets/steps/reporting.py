"""Report and settle one ticket: submitted, sent back, acknowledged; appeals, and taking a disposal back."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from errors import UsageError
from retention.catalogue.tables import timestamp
from tickets.actors import Right
from tickets.errors import TransitionError
from tickets.queue import Ticket
from tickets.sealing import contents_of
from tickets.standing import CORRECTED_OUTSIDE, corrected_outside, told, told_outside, uncorrected
from tickets.states import DISPOSED, Decision, State
from tickets.steps.approving import ApprovingSteps


class ReportingSteps(ApprovingSteps):
    """Steps after disposal."""

    def report(self, ticket_id: str, receipt: str = "") -> Ticket:
        """Record that a single ticket was reported to the authority 上报; submission stops the clock.

        A report of many tickets, with its document and approval, is made by ``draft_report``.

        Raises:
            SecondPersonError: the actor triaged it.
        """
        self.who.require(Right.TICKETS_APPROVE)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            said = self._second_person(ticket.triaged_by, "reports")
            return self._reported(connection, ticket, None, timestamp(), receipt, said)

    def report_to_police(self, ticket_id: str, receipt: str) -> Ticket:
        """Record the report to the police 公安机关; its clock stops."""
        self.who.require(Right.TICKETS_APPROVE)
        self._require(receipt, "receipt")
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            if ticket.police_due_at is None or ticket.police_reported_at is not None:
                raise TransitionError(
                    f"The ticket {ticket_id} has no police clock that runs.", cure="Nothing is to be reported there."
                )
            values = {"police_reported_at": timestamp()}
            return self._change(connection, ticket, "ticket.police_reported", values, {**values, "receipt": receipt})

    def reject(self, ticket_id: str, reason: str) -> Ticket:
        """Record that the authority sent the report back: it is open again with its original date."""
        self.who.require(Right.TICKETS_APPROVE)
        self._require(reason)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            self._whole_report(ticket)
            self._note(connection, ticket_id, reason)
            return self._sent_back(connection, ticket)

    def acknowledge(self, ticket_id: str, receipt: str) -> Ticket:
        """Record the authority's receipt 回执; submitted is not acknowledged."""
        if not receipt.strip():
            raise UsageError("A receipt number is missing.", cure="Give it with --receipt.")
        self.who.require(Right.TICKETS_APPROVE)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            self._whole_report(ticket)
            return self._acknowledged(connection, ticket, receipt)

    def appeal(self, ticket_id: str, reason: str) -> Ticket:
        """Take in an appeal 申诉: the ticket stays as it is until somebody who did not decide it decides the appeal."""
        self.who.require(Right.TICKETS_WORK)
        self._require(reason)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            if ticket.state not in DISPOSED or ticket.appealed_at is not None:
                raise TransitionError(
                    f"The ticket {ticket_id} is {ticket.state}"
                    + (" and under appeal already." if ticket.appealed_at else ": nothing was disposed of."),
                    cure="Look at it with `liucun tickets show`.",
                )
            self._note(connection, ticket_id, reason)
            return self._change(connection, ticket, "ticket.appealed", {"appealed_at": timestamp()})

    def reject_appeal(self, ticket_id: str, reason: str) -> Ticket:
        """Find the appeal wrong 申诉不成立: the disposal stands."""
        self.who.require(Right.TICKETS_APPROVE)
        self._require(reason)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            if ticket.appealed_at is None:
                raise TransitionError(f"No appeal is open on {ticket_id}.", cure="Nothing is to be decided.")
            said = self._second_person(ticket.triaged_by, "decides the appeal")
            self._note(connection, ticket_id, reason)
            return self._change(connection, ticket, "ticket.appeal_rejected", {"appealed_at": None}, said)

    def reverse(self, ticket_id: str, reason: str) -> Ticket:
        """Take a disposal back 撤销, after an appeal 申诉成立 or of one's own accord.

        The platform is asked to restore the content. What was reported needs a correction (``correction_needed``).

        Raises:
            SecondPersonError: the actor triaged it.
        """
        self.who.require(Right.TICKETS_APPROVE)
        self._require(reason)
        with self.catalogue.read() as connection:
            contents = contents_of(connection, self.bodies, ticket_id)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            said = self._second_person(ticket.triaged_by, "takes it back")
            self._note(connection, ticket_id, reason)
            out = ticket.reported_at or ticket.police_reported_at or told(connection, [ticket_id])
            reported = bool(out)
            kind = "ticket.reversed_after_report" if reported else "ticket.reversed"
            values: dict[str, object] = {
                "closed_at": timestamp(),
                "appealed_at": None,
                "correction_needed": reported,
                "pending": None,
            }
            self._withdraw(connection, ticket)
            moved = self._move(connection, ticket, State.REVERSED, kind, values, said)
            if self.settings.platform.takes_orders:
                self._order(connection, moved, "restore", datetime.now(UTC), contents)
            return moved

    def correct_outside(self, ticket_id: str, receipt: str) -> Ticket:
        """Record that a body which was told outside of the reports made here was told of the reversal 更正.

        Raises:
            SecondPersonError: the actor triaged it.
            TransitionError: nobody was told of it outside, or the correction is recorded already.
        """
        self.who.require(Right.TICKETS_APPROVE)
        self._require(receipt, "receipt")
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            outside = told_outside(ticket, told(connection, [ticket_id]).get(ticket_id, ()))
            waits = ticket.state == State.REVERSED and ticket.correction_needed and outside
            if not waits or corrected_outside(connection, [ticket_id]):
                raise TransitionError(
                    f"No correction of {ticket_id} is to be made outside.",
                    cure="Correct a report that was made here by a report: `liucun reports draft --corrects`.",
                )
            said = self._second_person(ticket.triaged_by, "corrects")
            left = bool(uncorrected(connection, [ticket_id]).get(ticket_id))
            kept: dict[str, object] = {"receipt": receipt, "recipients": list(outside), **said}
            return self._change(connection, ticket, CORRECTED_OUTSIDE, {"correction_needed": left}, kept)

    def _reported(
        self,
        connection: sa.Connection,
        ticket: Ticket,
        report_id: str | None,
        at: str,
        receipt: str,
        said: dict[str, object],
    ) -> Ticket:
        if ticket.decision == Decision.VIOLATION and ticket.own_due_at is None:
            raise TransitionError(
                f"The ticket {ticket.ticket_id} is not 违法 or 不良: there is no report of it.",
                cure="Close it instead.",
            )
        values: dict[str, object] = {"reported_at": at, "receipt": receipt or None, "report_id": report_id}
        return self._move(connection, ticket, State.REPORTED, "ticket.reported", values, said)

    def _sent_back(self, connection: sa.Connection, ticket: Ticket) -> Ticket:
        values: dict[str, object] = {"reported_at": None, "report_id": None}
        return self._move(connection, ticket, State.DISPOSED, "ticket.report_rejected", values)

    def _acknowledged(self, connection: sa.Connection, ticket: Ticket, receipt: str) -> Ticket:
        values: dict[str, object] = {"acknowledged_at": timestamp(), "receipt": receipt}
        return self._move(connection, ticket, State.ACKNOWLEDGED, "ticket.acknowledged", values)

    @staticmethod
    def _whole_report(ticket: Ticket) -> None:
        if ticket.report_id is not None:
            raise TransitionError(
                f"The ticket {ticket.ticket_id} went out in the report {ticket.report_id}.",
                cure="Record the answer on the report as a whole.",
            )
