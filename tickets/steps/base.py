"""What every step shares: who acts, one transaction, the state machine, the version, the event, sealed notes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from errors import UsageError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.sets import among
from retention.catalogue.tables import timestamp
from retention.segments import Archive
from tickets.actors import Actor
from tickets.bodies import Bodies, note_context, seal_beside
from tickets.calendar.working_days import WorkingCalendar
from tickets.errors import SecondPersonError, TicketChangedError, TransitionError
from tickets.queue import Ticket, get_ticket
from tickets.retaining import took_in
from tickets.sealing import SealedEvidence, seal_evidence
from tickets.settings import TicketSettings
from tickets.states import TRANSITIONS, State, part_of
from tickets.tables import notes as note_table
from tickets.tables import tickets as table

MAX_NOTE: Final = 10_000
ENDS: Final = (State.DISMISSED, State.CLOSED, State.REVERSED)


@dataclass(frozen=True)
class Steps:
    """A person at work on the queue of a store.

    ``actor`` is who acts: an ``Actor`` with roles, or a bare name, which carries rights only as ``os:…`` or
    ``system:…``. Without ``archive``, where evidence is sealed, nothing can be disposed of.
    """

    catalogue: Catalogue
    bodies: Bodies
    calendar: WorkingCalendar
    actor: Actor | str
    settings: TicketSettings = field(default_factory=TicketSettings)
    archive: Archive | None = field(default=None, kw_only=True)

    @property
    def who(self) -> Actor:
        """Who acts, with roles."""
        return Actor.of(self.actor)

    def _seal(self, *ids: str) -> SealedEvidence:
        """Seal the evidence of tickets in the archive, before the transaction that rests on it.

        Raises:
            UsageError: this desk was opened without its archive.
        """
        if self.archive is None:
            raise UsageError(
                "Nothing can be disposed of without the archive: evidence is sealed there first.",
                cure="This is a fault of the program: report it.",
            )
        return seal_evidence(self.catalogue, self.bodies, self.archive, ids)

    @staticmethod
    def _same_version(ticket: Ticket, sealed: SealedEvidence) -> None:
        if ticket.version != sealed.own[ticket.ticket_id].version:
            raise TicketChangedError(
                f"The ticket {ticket.ticket_id} changed while its evidence was sealed.", cure="Look at it, then repeat."
            )

    @staticmethod
    def _ticket(connection: sa.Connection, ticket_id: str) -> Ticket:
        """A ticket to be changed: held until the transaction ends, so that who comes second sees what was done."""
        return get_ticket(connection, ticket_id, lock=True)

    def _move(
        self,
        connection: sa.Connection,
        ticket: Ticket,
        state: State,
        kind: str,
        values: Mapping[str, object],
        said: Mapping[str, object] | None = None,
    ) -> Ticket:
        """Take a ticket to another state, with its event, which says the columns and what else is ``said``."""
        now = self._may_become(ticket, state)
        if state in ENDS:
            self._end_merged(connection, [ticket.ticket_id], state, kind)
        moved = {**values, "state": state.value, "part": int(part_of(state))}
        return self._write(
            connection, ticket, kind, moved, {"from": now.value, "to": state.value, **values, **(said or {})}
        )

    @staticmethod
    def _may_become(ticket: Ticket, state: State) -> State:
        """The ticket's state, if it may become another one."""
        now = State(ticket.state)
        if now is State.MERGED:
            raise TransitionError(
                f"The ticket {ticket.ticket_id} is part of {ticket.merged_into}.", cure="Work on that one."
            )
        if state not in TRANSITIONS[now]:
            raise TransitionError(
                f"The ticket {ticket.ticket_id} is {now.value} ({now.chinese}): it cannot become {state.value}.",
                cure=f"From here it can become {', '.join(sorted(TRANSITIONS[now])) or 'nothing more'}.",
            )
        return now

    def _end_merged(self, connection: sa.Connection, ids: Sequence[str], state: State, kind: str) -> None:
        """What was merged into tickets ends as they do, and what was merged into that."""
        parts = list(ids)
        while parts:
            c = table.c
            chosen = sa.select(c.ticket_id).where(
                among(connection, c.merged_into, parts), c.state == State.MERGED.value
            )
            found = list(connection.execute(chosen).scalars())
            parts = found
            if not found:
                continue
            values = {"state": state.value, "closed_at": timestamp(), "version": c.version + 1}
            connection.execute(table.update().where(among(connection, c.ticket_id, found)).values(**values))
            body = {"from": State.MERGED.value, "to": state.value}
            rows = [(f"ticket:{number}", body) for number in found]
            events.append_many(connection, rows, kind=kind, actor=self.who.name)

    def _change(
        self,
        connection: sa.Connection,
        ticket: Ticket,
        kind: str,
        values: Mapping[str, object],
        body: Mapping[str, object] | None = None,
    ) -> Ticket:
        """Change columns of a ticket whose state stays, with its event (``body``: what it says, else the columns)."""
        return self._write(connection, ticket, kind, values, values if body is None else body)

    def _write(
        self,
        connection: sa.Connection,
        ticket: Ticket,
        kind: str,
        values: Mapping[str, object],
        body: Mapping[str, object],
    ) -> Ticket:
        moved = connection.execute(
            table.update()
            .where(table.c.ticket_id == ticket.ticket_id, table.c.version == ticket.version)
            .values(**values, version=ticket.version + 1)
        )
        if moved.rowcount != 1:
            raise TicketChangedError(
                f"Somebody else changed the ticket {ticket.ticket_id} in the same moment.",
                cure="Look at it again, then repeat the step if it is still right.",
            )
        self._event(connection, kind, f"ticket:{ticket.ticket_id}", body)
        return get_ticket(connection, ticket.ticket_id)

    def _event(self, connection: sa.Connection, kind: str, subject: str, body: Mapping[str, object]) -> None:
        events.append(connection, kind=kind, actor=self.who.name, subject=subject, body=body)

    def _note(self, connection: sa.Connection, ticket_id: str, text: str) -> None:
        if not text.strip():
            return
        at = timestamp()
        own = connection.execute(sa.select(table.c.text_key).where(table.c.ticket_id == ticket_id))
        data = text.encode("utf-8", "replace")
        sealed, key_id = seal_beside(self.bodies, data, note_context(ticket_id, at), own.scalar_one_or_none(), at)
        took_in(connection, [ticket_id], key_id)
        connection.execute(note_table.insert().values(ticket_id=ticket_id, at=at, actor=self.who.name, body=sealed))

    def _second_person(self, first: str | None, what: str) -> dict[str, object]:
        """Check that who acts is not who acted first; what the event says about it.

        Where no accounts exist yet, one user of the operating system does everything; the event says so.

        Raises:
            SecondPersonError: it is the same person, or a local user would confirm what an account decided.
        """
        who = self.who
        if who.is_local:
            if first is None or first.startswith("os:"):
                return {"second_person": False}
            raise SecondPersonError(
                f"{who.name} cannot be the second person who {what}: it is no account.",
                cure="Let somebody with an account and the right do it.",
            )
        if first == who.name:
            raise SecondPersonError(
                f"{who.name} decided this before: nobody approves their own triage.",
                cure=f"Let somebody else with the right {what}.",
            )
        return {}

    @staticmethod
    def _require(text: str, what: str = "reason") -> None:
        if not text.strip():
            raise UsageError(
                f"A {what} is missing.", cure="Say in a few words why; it is kept, sealed, with the ticket."
            )
        if len(text) > MAX_NOTE:
            raise UsageError(f"The text is longer than {MAX_NOTE} characters.", cure="Shorten it.")

    @staticmethod
    def _new_id(letter: str) -> str:
        return f"{letter}{secrets.token_hex(8).upper()}"


def earliest(*moments: str | None) -> str | None:
    """The earliest of some of the catalogue's times."""
    return min((moment for moment in moments if moment is not None), default=None)


def as_time(text: str) -> datetime:
    """A time of the catalogue."""
    return datetime.fromisoformat(text)
