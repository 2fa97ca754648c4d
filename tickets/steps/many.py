"""What steps on many tickets share: the actions and their result, who is left out, set-wise writing, sealed notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from errors import BusyError, UsageError
from retention.catalogue import events
from retention.catalogue.sets import among, insert_rows
from retention.catalogue.tables import timestamp
from tickets.bodies import note_context, seal_beside
from tickets.clocks import given_time
from tickets.queue import Ticket
from tickets.retaining import text_keys, took_in
from tickets.states import TRANSITIONS, Decision, State, part_of
from tickets.steps.refusals import LeftOutError, Refusal, Why
from tickets.steps.reporting import ReportingSteps
from tickets.tables import notes as note_table
from tickets.tables import tickets as table

MOST: Final = 10_000


class BulkAction(StrEnum):
    """Steps that may be taken on many tickets at once."""

    CLAIM = "claim"
    ASSIGN = "assign"
    RELEASE = "release"
    DISMISS = "dismiss"
    CONFIRM = "confirm"
    DISPOSE = "dispose"

    @property
    def undoable(self) -> bool:
        """Whether it can be taken back for a while. A disposal cannot: the order is out, the law's days run."""
        return self is not BulkAction.DISPOSE


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of a bulk step, or in a preview would become: ``token`` undoes it until ``until``.

    Both are None of a preview and of a step that cannot be taken back.
    """

    token: str | None
    until: str | None
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
class Wanted:
    """A step as it is asked for. ``effective``: when the measure took effect, where a person states it."""

    action: BulkAction
    now: datetime
    decision: Decision | None = None
    assignee: str | None = None
    measure: str | None = None
    effective: datetime | None = None


@dataclass(frozen=True, slots=True)
class SealedNotes:
    """A reason sealed for each ticket before the transaction: ``keys`` are the tickets' own as they were then, ``used``
    tells the tickets by the key that their note is under."""

    rows: list[dict[str, object]] = field(default_factory=list)
    keys: dict[str, str | None] = field(default_factory=dict)
    used: dict[str, list[str]] = field(default_factory=dict)


Change = tuple[Ticket, Mapping[str, object]]
"""A ticket and the columns that a step changes in it."""


class ManySteps(ReportingSteps):
    """How a step on many tickets is judged and written."""

    @staticmethod
    def _judged(
        ids: Sequence[str], found: Sequence[Ticket], plan: Callable[[Ticket], dict[str, object]]
    ) -> tuple[list[Change], list[Refusal]]:
        """Each ticket by itself: what changes in it, or why it is left out."""
        known = {ticket.ticket_id: ticket for ticket in found}
        refused = [Refusal(number, Why.UNKNOWN) for number in ids if number not in known]
        changes: list[Change] = []
        for ticket in known.values():
            try:
                changes.append((ticket, plan(ticket)))
            except LeftOutError as error:
                refused.append(Refusal(ticket.ticket_id, error.why, error.values))
        return changes, refused

    def _sealed_notes(self, ids: Sequence[str], reason: str) -> SealedNotes:
        """The reason, sealed for each ticket under its own key."""
        sealed = SealedNotes()
        if not reason.strip():
            return sealed
        at = timestamp()
        text = reason.encode("utf-8", "replace")
        with self.catalogue.read() as connection:
            sealed.keys.update(text_keys(connection, ids))
        for number in ids:
            body, key_id = seal_beside(self.bodies, text, note_context(number, at), sealed.keys.get(number), at)
            sealed.rows.append({"ticket_id": number, "at": at, "actor": self.who.name, "body": body})
            sealed.used.setdefault(key_id, []).append(number)
        return sealed

    @staticmethod
    def _same_keys(connection: sa.Connection, ids: Sequence[str], notes: SealedNotes) -> None:
        """Check that no ticket's texts were sealed anew since its note was sealed.

        Raises:
            BusyError: they were.
        """
        if notes.keys and text_keys(connection, ids) != notes.keys:
            raise BusyError(
                "The keys of these tickets' texts changed while the note to them was sealed.",
                cure="Nothing was changed; take the step again.",
            )

    @staticmethod
    def _add_notes(connection: sa.Connection, notes: SealedNotes, done: Sequence[str]) -> None:
        chosen = set(done)
        if written := [note for note in notes.rows if note["ticket_id"] in chosen]:
            insert_rows(connection, note_table, written)
            for key_id, numbers in notes.used.items():
                took_in(connection, chosen.intersection(numbers), key_id)

    def _write_all(
        self,
        connection: sa.Connection,
        changes: Sequence[Change],
        kind: str,
        said: Mapping[str, object],
        of_each: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        """Write columns and events, which say the columns, ``said`` and what there is ``of_each`` ticket.

        The rows are held, so a changed version cannot slip in between.
        """
        alike: dict[tuple[tuple[str, object], ...], list[str]] = {}
        for ticket, values in changes:
            alike.setdefault(tuple(sorted(values.items())), []).append(ticket.ticket_id)
        for columns, ids in alike.items():
            chosen = among(connection, table.c.ticket_id, ids)
            connection.execute(table.update().where(chosen).values(**dict(columns), version=table.c.version + 1))
        more = of_each or {}
        events.append_many(
            connection,
            [
                (
                    f"ticket:{ticket.ticket_id}",
                    {
                        "from": ticket.state,
                        "to": values["state"],
                        **_shown(values),
                        **said,
                        **more.get(ticket.ticket_id, {}),
                    },
                )
                for ticket, values in changes
            ],
            kind=kind,
            actor=self.who.name,
        )


def moved_to(ticket: Ticket, state: State) -> dict[str, object]:
    """The columns of a ticket that becomes ``state``.

    Raises:
        LeftOutError: it cannot from where it is.
    """
    if ticket.state == State.MERGED or state not in TRANSITIONS[State(ticket.state)]:
        raise LeftOutError(Why.STATE, state=ticket.state, wanted=state.value)
    return {"state": state.value, "part": int(part_of(state))}


def effective_of(given: datetime | None, now: datetime) -> datetime | None:
    """When a measure took effect, as somebody states it.

    Raises:
        UsageError: it has no zone, or lies in the future or beyond the calendar.
    """
    if given is None:
        return None
    moment = given_time(given)
    if moment > now:
        raise UsageError("A disposal cannot lie in the future.", cure="Give the time at which it happened.")
    return moment


def _shown(values: Mapping[str, Any]) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in ("state", "part")}
