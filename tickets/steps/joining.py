"""Tickets that belong together: links, groups of near-identical texts with one decision, merging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa

from errors import UsageError
from retention.catalogue.tables import timestamp
from tickets.actors import Right
from tickets.errors import TicketUnknownError, TransitionError
from tickets.queue import COLUMNS, Filters, Ticket, get_ticket, list_tickets, tickets_by_id
from tickets.recall import near
from tickets.states import TO_DISPOSE, Decision, State, part_of
from tickets.steps.base import earliest
from tickets.steps.bulk import MOST as BULK_MOST
from tickets.steps.bulk import BulkAction, BulkResult, BulkSteps
from tickets.steps.refusals import Refusal, Why
from tickets.tables import tickets as table
from tickets.tables_work import links
from tickets.weights import weight_of

MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Link:
    """A ticket that belongs to another one.

    ``kind``: ``text`` (the same), ``near`` (nearly the same, with its ``likeness`` 0 to 1), ``account``, ``follows``
    (the same content, later or earlier), ``merged``, ``linked`` (by a person).
    """

    kind: str
    ticket: Ticket
    likeness: float | None = None


def linked(connection: sa.Connection, ticket_id: str, *, limit: int = MOST) -> list[Link]:
    """What belongs to a ticket, ``limit`` of each kind; a ticket is named once, by the closest kind."""
    c = table.c
    own = connection.execute(
        sa.select(c.account_blind, c.text_blind, c.linked_to, c.merged_into).where(c.ticket_id == ticket_id)
    ).one_or_none()
    if own is None:
        get_ticket(connection, ticket_id)
        return []
    made = sa.select(links.c.other_id).where(links.c.ticket_id == ticket_id)
    taken = sa.select(links.c.ticket_id).where(links.c.other_id == ticket_id)
    # Only what is there is asked for: a comparison with nothing would make the database read every ticket.
    follows = sa.or_(c.linked_to == ticket_id, *([c.ticket_id == own.linked_to] if own.linked_to else []))
    merged = sa.or_(c.merged_into == ticket_id, *([c.ticket_id == own.merged_into] if own.merged_into else []))
    found: dict[str, Link] = {}
    for kind, condition in (
        ("merged", merged),
        ("follows", follows),
        ("linked", sa.or_(c.ticket_id.in_(made), c.ticket_id.in_(taken))),
        ("text", c.text_blind == own.text_blind),
    ):
        _collect(connection, found, kind, condition, ticket_id, limit)
    alike = dict(near(connection, ticket_id)[:limit])
    for ticket in tickets_by_id(connection, list(alike)):
        found.setdefault(ticket.ticket_id, Link("near", ticket, round(alike[ticket.ticket_id], 2)))
    if own.account_blind is not None:
        _collect(connection, found, "account", c.account_blind == own.account_blind, ticket_id, limit)
    return list(found.values())


def group_of(connection: sa.Connection, ticket_id: str, *, limit: int = 1_000) -> list[Ticket]:
    """A ticket and those to be decided whose text is the same or nearly so: one decision may serve them all."""
    ticket = get_ticket(connection, ticket_id)
    blind = connection.execute(sa.select(table.c.text_blind).where(table.c.ticket_id == ticket_id)).scalar_one()
    undecided = (State.DETECTED, State.TRIAGE)
    same = list_tickets(connection, Filters(states=undecided, text_blind=blind), limit=limit)
    alike = tickets_by_id(connection, [number for number, _ in near(connection, ticket_id, undecided)[:limit]])
    found = {ticket.ticket_id: ticket}
    found |= {other.ticket_id: other for other in (*same, *alike) if other.state in undecided}
    return list(found.values())[:limit]


class JoiningSteps(BulkSteps):
    """Steps on tickets that belong together."""

    def link(self, ticket_id: str, other_id: str) -> None:
        """Link two tickets by hand; twice is as once."""
        self.who.require(Right.TICKETS_WORK)
        if ticket_id == other_id:
            raise UsageError("A ticket cannot be linked to itself.", cure="Name another one.")
        first, second = sorted((ticket_id, other_id))
        with self.catalogue.write(row_locks=True) as connection:
            self._ticket(connection, first)
            self._ticket(connection, second)
            pair = sa.and_(links.c.ticket_id == first, links.c.other_id == second)
            if connection.execute(sa.select(links.c.at).where(pair)).first() is not None:
                return
            connection.execute(
                links.insert().values(ticket_id=first, other_id=second, at=timestamp(), actor=self.who.name)
            )
            for number, other in ((first, second), (second, first)):
                self._event(connection, "ticket.linked", f"ticket:{number}", {"other": other})

    def unlink(self, ticket_id: str, other_id: str) -> None:
        """Take a link away that a person made; where there is none it is as if it had been taken away before."""
        self.who.require(Right.TICKETS_WORK)
        first, second = sorted((ticket_id, other_id))
        with self.catalogue.write(row_locks=True) as connection:
            self._ticket(connection, first)
            self._ticket(connection, second)
            pair = sa.and_(links.c.ticket_id == first, links.c.other_id == second)
            if connection.execute(links.delete().where(pair)).rowcount:
                for number, other in ((first, second), (second, first)):
                    self._event(connection, "ticket.unlinked", f"ticket:{number}", {"other": other})

    def decide_group(
        self, ticket_id: str, decision: Decision | None, reason: str, *, members: Sequence[str] | None = None
    ) -> BulkResult:
        """One decision for near-identical texts (None dismisses). ``members``: those that were seen, else all.

        A member that is not of the group, or was decided since it was seen, is among what is refused.

        Raises:
            TransitionError: none of ``members`` is of the group.
        """
        self.who.require(Right.TICKETS_WORK)
        with self.catalogue.read() as connection:
            group = [ticket.ticket_id for ticket in group_of(connection, ticket_id, limit=BULK_MOST)]
        wanted = dict.fromkeys(group if members is None else members)
        ids = [number for number in group if number in wanted]
        if not ids:
            raise TransitionError(
                f"None of the tickets named is undecided and of the text of {ticket_id}.", cure="Look at it again."
            )
        action = BulkAction.DISMISS if decision is None else BulkAction.CONFIRM
        result = self.bulk(action, ids, decision=decision, reason=reason)
        left = [Refusal(number, Why.NOT_OF_GROUP) for number in sorted(wanted.keys() - set(ids))]
        return replace(result, refusals=(*result.refusals, *left))

    def merge(self, ids: Sequence[str], into: str, reason: str) -> Ticket:
        """Make undisposed tickets part of another undisposed one 并案: the earliest clocks and the worst severity hold.

        Raises:
            HeldError: somebody else has one of them, and the actor may not assign.
            TransitionError: one of them was disposed of; its clock runs of itself and stays.
        """
        self.who.require(Right.TICKETS_WORK)
        self._require(reason)
        parts = [number for number in dict.fromkeys(ids) if number != into]
        if not parts:
            raise UsageError("Nothing is given to be merged.", cure="Name the tickets and the one they go into.")
        with self.catalogue.write(row_locks=True) as connection:
            held = {ticket.ticket_id: ticket for ticket in tickets_by_id(connection, [into, *parts], lock=True)}
            if lacking := [number for number in (into, *parts) if number not in held]:
                raise TicketUnknownError(
                    f"There is no ticket {lacking[0]!r}.", cure="`liucun tickets list` shows them."
                )
            for ticket in held.values():
                self._may_decide(ticket)  # what is merged is decided as the ticket that took it in
            target = held[into]
            if target.state not in TO_DISPOSE:
                raise TransitionError(
                    f"The ticket {into} is {target.state}: nothing can be merged into it.", cure="Link them instead."
                )
            merged = [held[number] for number in parts]
            for ticket in merged:
                self._may_become(ticket, State.MERGED)
                self._withdraw(connection, ticket)
            self._note(connection, into, reason)
            values = {"merged_into": into, "pending": None, "closed_at": timestamp()}
            moved = {**values, "state": State.MERGED.value, "part": int(part_of(State.MERGED))}
            self._write_all(connection, [(ticket, moved) for ticket in merged], "ticket.merged", {})
            return self._take_in(connection, target, merged)

    def _take_in(self, connection: sa.Connection, target: Ticket, merged: Sequence[Ticket]) -> Ticket:
        every = [target, *merged]
        worst = max(every, key=lambda ticket: (ticket.severity, ticket.score))
        reach = sum(ticket.reach for ticket in every)
        values = {
            "severity": worst.severity,
            "category": worst.category,
            "subtype": worst.subtype,
            "score": worst.score,
            "reach": reach,
            "weight": weight_of(worst.severity, reach),
            "findings": sum(ticket.findings for ticket in every),
            **{
                name: earliest(*(getattr(ticket, name) for ticket in every))
                for name in ("detected_at", "dispose_by", "own_due_at", "police_due_at", "blocked_at")
            },
        }
        said = {"merged": [ticket.ticket_id for ticket in merged], **values}
        return self._change(connection, target, "ticket.took_in", values, said)


def _collect(
    connection: sa.Connection,
    found: dict[str, Link],
    kind: str,
    condition: sa.ColumnElement[bool],
    ticket_id: str,
    limit: int,
) -> None:
    c = table.c
    rows = connection.execute(
        sa.select(*COLUMNS).where(condition, c.ticket_id != ticket_id).order_by(c.detected_at.desc()).limit(limit)
    )
    for row in rows:
        found.setdefault(row.ticket_id, Link(kind, Ticket(*row)))
