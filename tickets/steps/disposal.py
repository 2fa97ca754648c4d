"""Disposal 处置: measures ordered of the platform, their acknowledgement, and the moment that starts the ten days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from errors import UsageError
from retention.catalogue import events
from retention.catalogue.sets import insert_rows
from retention.catalogue.tables import timestamp
from retention.resting import collector_rests
from tickets.actors import Right
from tickets.clocks import given_time
from tickets.errors import TransitionError
from tickets.evidence import list_evidence
from tickets.messages import KAFKA, PLATFORM, order_message, put_all
from tickets.queue import Ticket, get_ticket
from tickets.sealing import Content, commit_evidence, contents_of
from tickets.states import DISPOSED, Decision, Measure, Part, State, part_of
from tickets.steps.base import as_time, earliest
from tickets.steps.dating import due_columns
from tickets.steps.triage import TriageSteps, digests_of
from tickets.tables_sending import orders


class DisposalSteps(TriageSteps):
    """Steps that act on content and accounts."""

    def dispose(
        self,
        ticket_id: str,
        measure: Measure,
        *,
        reason: str = "",
        ordered_at: datetime | None = None,
        effective_at: datetime | None = None,
    ) -> Ticket:
        """Dispose of the content 处置: for what is illegal the ten working days count from when it took effect.

        The evidence is sealed first. Where a platform is set up, the order goes out to it, and without ``effective_at``
        the days count provisionally from the order until it acknowledges. Where none is, a person states what was done.

        Raises:
            TransitionError: the ticket is not confirmed.
            UsageError: a time lies in the future, before detection, or effect before order.
        """
        self.who.require(Right.TICKETS_WORK)
        ordered = given_time(ordered_at or effective_at or datetime.now(UTC))
        platform = self.settings.platform.takes_orders
        effective = given_time(effective_at) if effective_at else None if platform else ordered
        with self.catalogue.read() as connection:
            self._may_dispose(get_ticket(connection, ticket_id))
        with collector_rests():
            sealed = self._seal(ticket_id)
        with collector_rests(), self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            self._may_dispose(ticket)
            self._same_version(ticket, sealed)
            self._check_times(ticket, ordered, effective or ordered)
            values: dict[str, object] = {
                "measure": measure.value,
                "ordered_at": timestamp(ordered),
                "effective_at": timestamp(effective) if effective else None,
                "effect": "stated" if effective else "ordered",
                **due_columns(ticket.decision, ticket.own_due_at, effective or ordered, self.calendar, self.settings),
            }
            self._note(connection, ticket_id, reason)
            said = digests_of(sealed, ticket_id)
            moved = self._move(connection, ticket, State.DISPOSED, "ticket.disposed", values, said)
            commit_evidence(connection, sealed, self.who.name)
            if platform:
                self._order(connection, moved, measure.value, ordered, sealed.contents[ticket_id])
            return moved

    def order(self, ticket_id: str, measure: Measure, reason: str) -> str:
        """Order a further measure of the platform and return its number; the clock, which runs, is not touched."""
        self.who.require(Right.TICKETS_WORK)
        self._require(reason)
        with self.catalogue.read() as connection:
            contents = contents_of(connection, self.bodies, ticket_id)
            lacking = not list_evidence(connection, [f"ticket:{ticket_id}"])
        # Blocks that were confirmed before evidence of them was sealed.
        sealed = self._seal(ticket_id) if lacking else None
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            if ticket.state not in DISPOSED:
                raise TransitionError(
                    f"The ticket {ticket_id} is {ticket.state}: dispose of it first.", cure="Use `dispose`."
                )
            self._note(connection, ticket_id, reason)
            if sealed is not None:
                commit_evidence(connection, sealed, self.who.name)
            return self._order(connection, ticket, measure.value, datetime.now(UTC), contents)

    def acknowledge_order(self, order_id: str, *, effective_at: datetime | None = None, reference: str = "") -> Ticket:
        """Record that the platform carried out an order: the ten days count from the first effective measure.

        Twice the same acknowledgement changes nothing.
        """
        self.who.require(Right.TICKETS_WORK)
        now = datetime.now(UTC)
        moment = given_time(effective_at or now)
        with self.catalogue.write(row_locks=True) as connection:
            row = self._open_order(connection, order_id)
            ticket = self._ticket(connection, row.ticket_id)
            if row.state == "acknowledged":
                return ticket
            if moment > now:
                raise UsageError("A measure cannot take effect in the future.", cure="Check the platform's clock.")
            moment = max(moment, as_time(row.ordered_at))
            changed = {"state": "acknowledged", "acknowledged_at": timestamp(now), "effective_at": timestamp(moment)}
            connection.execute(
                orders.update().where(orders.c.order_id == order_id).values(**changed, reference=reference or None)
            )
            said: dict[str, object] = {"order": order_id, "measure": row.measure, "reference": reference or None}
            if row.measure == "restore":
                return self._change(connection, ticket, "ticket.restored", {}, said)
            first = earliest(timestamp(moment), ticket.effective_at)
            assert first is not None
            effect = "acknowledged" if first == timestamp(moment) else ticket.effect
            return self._set_effective(connection, ticket, as_time(first), effect, said)

    def refuse_order(self, order_id: str, reason: str) -> Ticket:
        """Record that the platform did not carry out an order: what rested on it is to be disposed of again."""
        self.who.require(Right.TICKETS_WORK)
        self._require(reason)
        with self.catalogue.write(row_locks=True) as connection:
            row = self._open_order(connection, order_id)
            ticket = self._ticket(connection, row.ticket_id)
            connection.execute(orders.update().where(orders.c.order_id == order_id).values(state="refused"))
            self._note(connection, row.ticket_id, reason)
            back = ticket.effective_at is None and ticket.state == State.DISPOSED
            values = {"part": int(Part.DISPOSE)} if back else {}
            return self._change(connection, ticket, "ticket.order_refused", values, {"order": order_id})

    def set_effective(self, ticket_id: str, moment: datetime, reason: str) -> Ticket:
        """Correct when the measure took effect. Earlier at once; later waits for a second person (``approve``)."""
        self.who.require(Right.TICKETS_WORK)
        self._require(reason)
        moment = given_time(moment)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            if ticket.state not in (State.DISPOSED, State.REPORTED) or ticket.ordered_at is None:
                raise TransitionError(
                    f"The ticket {ticket_id} is {ticket.state}: there is no disposal whose time could be corrected.",
                    cure="Dispose of it, or leave the time as it was reported.",
                )
            if ticket.pending is not None:
                raise TransitionError(f"The ticket {ticket_id} waits for a second person already.", cure="Let it end.")
            self._check_times(ticket, min(moment, as_time(ticket.ordered_at)), moment)
            self._note(connection, ticket_id, reason)
            if timestamp(moment) <= (ticket.effective_at or ticket.ordered_at):
                return self._set_effective(connection, ticket, moment, "stated", {})
            approval = self._ask(connection, ticket, "effective", {"effective_at": timestamp(moment)})
            said = {"approval": approval, "effective_at": timestamp(moment)}
            return self._change(connection, ticket, "ticket.time_proposed", {"pending": approval}, said)

    def close(self, ticket_id: str) -> Ticket:
        """Close a ticket 办结: 违法 and 不良 once their report was acknowledged, 违规 once it was disposed of."""
        self.who.require(Right.TICKETS_WORK)
        with self.catalogue.write(row_locks=True) as connection:
            ticket = self._ticket(connection, ticket_id)
            if ticket.state == State.DISPOSED and (ticket.decision != Decision.VIOLATION or ticket.own_due_at):
                raise TransitionError(
                    f"The ticket {ticket_id} is {_word(ticket)} and not reported yet.",
                    cure="Report it, and close it after its receipt.",
                )
            if ticket.appealed_at is not None or ticket.pending is not None or ticket.correction_needed:
                raise TransitionError(
                    f"The ticket {ticket_id} has an appeal, an approval or a correction open.", cure="Settle it first."
                )
            if ticket.state == State.DISPOSED and ticket.effective_at is None:
                raise TransitionError(
                    f"The platform has not acknowledged the disposal of {ticket_id}.", cure="Wait for it, or state it."
                )
            return self._move(connection, ticket, State.CLOSED, "ticket.closed", {"closed_at": timestamp()})

    def _set_effective(
        self,
        connection: sa.Connection,
        ticket: Ticket,
        moment: datetime,
        effect: str | None,
        said: Mapping[str, object],
    ) -> Ticket:
        values: dict[str, object] = {"effective_at": timestamp(moment), "effect": effect, "missed_at": None}
        if "pending" in said:
            values["pending"] = None
        if ticket.state == State.DISPOSED:
            values |= due_columns(ticket.decision, ticket.own_due_at, moment, self.calendar, self.settings)
            values["part"] = int(part_of(State.DISPOSED))
        before = {"effective_before": ticket.effective_at, "due_before": ticket.due_at}
        return self._change(connection, ticket, "ticket.effective", values, {**values, **before, **said})

    def _order(
        self, connection: sa.Connection, ticket: Ticket, measure: str, ordered: datetime, contents: Sequence[Content]
    ) -> str:
        return self._order_all(connection, [(ticket, contents)], measure, ordered)[0]

    def _order_all(
        self,
        connection: sa.Connection,
        about: Sequence[tuple[Ticket, Sequence[Content]]],
        measure: str,
        ordered: datetime,
    ) -> list[str]:
        """One order for each ticket, with its messages to the platform; returns the orders' numbers."""
        at = timestamp(ordered)
        written = [(self._new_id("D"), ticket, contents) for ticket, contents in about]
        rows = [
            {
                "order_id": order_id,
                "ticket_id": ticket.ticket_id,
                "measure": measure,
                "ordered_by": self.who.name,
                "ordered_at": at,
                "state": "waiting",
            }
            for order_id, ticket, _ in written
        ]
        insert_rows(connection, orders, rows)
        platform = self.settings.platform
        put_all(
            connection,
            self.bodies,
            [
                order_message(ticket, order_id, measure, at, contents, channel)
                for order_id, ticket, contents in written
                for channel, there in ((PLATFORM, platform.url), (KAFKA, platform.kafka))
                if there
            ],
        )
        said = [(f"ticket:{t.ticket_id}", {"order": order_id, "measure": measure}) for order_id, t, _ in written]
        events.append_many(connection, said, kind="ticket.ordered", actor=self.who.name)
        return [order_id for order_id, _, _ in written]

    @staticmethod
    def _may_dispose(ticket: Ticket) -> None:
        """Refuse early, before anything is sealed, what the state machine would refuse."""
        if ticket.state == State.MERGED:
            raise TransitionError(
                f"The ticket {ticket.ticket_id} is part of {ticket.merged_into}.", cure="Work on that one."
            )
        # A report that was sent back leads there, too; disposing anew of what was reported would restart its days.
        if ticket.state != State.CONFIRMED:
            raise TransitionError(
                f"The ticket {ticket.ticket_id} is {ticket.state}: it cannot be disposed of.",
                cure="Confirm it first; what was disposed of takes further measures by `order`.",
            )

    @staticmethod
    def _open_order(connection: sa.Connection, order_id: str) -> sa.Row[tuple[object, ...]]:
        row = connection.execute(sa.select(orders).where(orders.c.order_id == order_id).with_for_update()).one_or_none()
        if row is None:
            raise UsageError(f"There is no disposal order {order_id!r}.", cure="Check the number the platform sent.")
        return row

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


def _word(ticket: Ticket) -> str:
    return Decision(ticket.decision).chinese if ticket.decision else "undecided"
