"""The second person: milder decisions than the default and times moved later wait until somebody else agrees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from errors import UsageError
from retention.catalogue.tables import timestamp
from tickets.actors import Right
from tickets.errors import SecondPersonError, TicketChangedError, TransitionError
from tickets.queue import Ticket
from tickets.states import Decision
from tickets.steps.base import as_time
from tickets.steps.disposal import DisposalSteps
from tickets.tables_work import approvals


@dataclass(frozen=True, slots=True)
class Approval:
    """What waits for a second person: ``kind`` is ``decision`` or ``effective``, ``value`` what was asked."""

    approval_id: str
    ticket_id: str
    kind: str
    value: dict[str, Any]
    asked_by: str
    asked_at: str
    decided_by: str | None
    decided_at: str | None
    outcome: str | None


def list_approvals(
    connection: sa.Connection, *, ticket_id: str | None = None, waiting: bool = True, limit: int = 200
) -> list[Approval]:
    """Approvals, oldest first; only those that wait unless told otherwise."""
    a = approvals.c
    chosen = sa.select(approvals).order_by(a.asked_at, a.approval_id).limit(limit)
    if waiting:
        chosen = chosen.where(a.outcome.is_(None))
    if ticket_id is not None:
        chosen = chosen.where(a.ticket_id == ticket_id)
    return [_approval(row) for row in connection.execute(chosen)]


def _approval(row: Any) -> Approval:
    found = row._asdict()
    return Approval(**{**found, "value": json.loads(found["value"])})


class ApprovingSteps(DisposalSteps):
    """Steps of the second person."""

    def approve(self, approval_id: str, reason: str) -> Ticket:
        """Agree to what somebody else asked 复核同意.

        Raises:
            SecondPersonError: the actor asked it themselves, or is no account.
            NotPermittedError: a time is moved later and the actor may not approve.
        """
        self._require(reason)
        with self.catalogue.read() as connection:
            asked = sa.select(approvals.c.ticket_id, approvals.c.kind).where(
                approvals.c.approval_id == approval_id, approvals.c.outcome.is_(None)
            )
            row = connection.execute(asked).one_or_none()
        sealed = self._seal_blocked(row.ticket_id) if row is not None and row.kind == "decision" else None
        with self.catalogue.write(row_locks=True) as connection:
            approval, ticket = self._waiting(connection, approval_id)
            self._settle(connection, approval, "approved")
            self._note(connection, ticket.ticket_id, reason)
            said: dict[str, object] = {"approval": approval_id, "asked_by": approval.asked_by}
            if approval.kind == "decision":
                decision = Decision(approval.value["decision"])
                return self._confirmed(connection, ticket, decision, approval.asked_by, said, sealed)
            moment = as_time(approval.value["effective_at"])
            return self._set_effective(connection, ticket, moment, "stated", {**said, "pending": None})

    def refuse(self, approval_id: str, reason: str) -> Ticket:
        """Do not agree 复核不同意: the ticket is as if nobody had asked."""
        self._require(reason)
        with self.catalogue.write(row_locks=True) as connection:
            approval, ticket = self._waiting(connection, approval_id)
            self._settle(connection, approval, "refused")
            self._note(connection, ticket.ticket_id, reason)
            said = {"approval": approval_id, "asked_by": approval.asked_by}
            return self._change(connection, ticket, "ticket.approval_refused", {"pending": None}, said)

    def _waiting(self, connection: sa.Connection, approval_id: str) -> tuple[Approval, Ticket]:
        row = connection.execute(sa.select(approvals).where(approvals.c.approval_id == approval_id)).one_or_none()
        if row is None:
            raise UsageError(f"There is no approval {approval_id!r}.", cure="`liucun tickets approvals` shows them.")
        approval = _approval(row)
        if approval.outcome is not None:
            raise TransitionError(
                f"The approval {approval_id} was {approval.outcome} by {approval.decided_by} at {approval.decided_at}.",
                cure="Ask again if it is still wanted.",
            )
        self.who.require(Right.TICKETS_WORK if approval.kind == "decision" else Right.TICKETS_APPROVE)
        if self.who.is_local or self.who.name == approval.asked_by:
            raise SecondPersonError(
                f"{approval.asked_by} asked this: {self.who.name} cannot be the second person.",
                cure="Let somebody else with an account and the right look at it.",
            )
        return approval, self._ticket(connection, approval.ticket_id)

    def _settle(self, connection: sa.Connection, approval: Approval, outcome: str) -> None:
        settled = connection.execute(
            approvals.update()
            .where(approvals.c.approval_id == approval.approval_id, approvals.c.outcome.is_(None))
            .values(outcome=outcome, decided_by=self.who.name, decided_at=timestamp())
        )
        if settled.rowcount != 1:
            raise TicketChangedError(
                f"Somebody else decided the approval {approval.approval_id} in the same moment.",
                cure="Look at the ticket again.",
            )
