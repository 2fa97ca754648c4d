"""One disposal measure on many confirmed tickets 批量处置: evidence of all sealed first, then one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from errors import BusyError
from retention.catalogue.tables import timestamp
from retention.resting import collector_rests
from tickets.queue import Ticket, tickets_by_id, versions_of
from tickets.retaining import text_keys
from tickets.sealing import SealedEvidence, commit_evidence
from tickets.states import State
from tickets.steps.dating import due_columns
from tickets.steps.many import BulkResult, Change, ManySteps, SealedNotes, Wanted, moved_to
from tickets.steps.refusals import LeftOutError, Refusal, Why
from tickets.steps.triage import digests_of

_TRIES: Final = 3


class DisposingSteps(ManySteps):
    """Disposes of many tickets at once, each as ``dispose`` does it."""

    def _dispose_all(self, ids: Sequence[str], wanted: Wanted, reason: str) -> BulkResult:
        """Dispose of those that are confirmed; the others are left out, so that a repetition orders nothing twice.

        What changed while the evidence was sealed is judged, and sealed, anew.

        Raises:
            BusyError: tickets went on changing meanwhile; nothing was disposed of.
        """
        for _ in range(_TRIES):
            with collector_rests():
                changes, refused = self._disposable(ids, wanted)
                chosen = [ticket.ticket_id for ticket, _ in changes]
                sealed = self._seal(*chosen) if chosen else None
                if sealed is None or self._disposed(changes, sealed, self._sealed_notes(chosen, reason), wanted):
                    return BulkResult(None, None, tuple(chosen), tuple(refused))
        raise BusyError(
            "Tickets changed every time that their evidence was sealed.", cure="Nothing was disposed of; try again."
        )

    def _disposable(self, ids: Sequence[str], wanted: Wanted) -> tuple[list[Change], list[Refusal]]:
        due: dict[tuple[str | None, str | None], dict[str, object]] = {}
        with self.catalogue.read() as connection:
            found = tickets_by_id(connection, ids)
        return self._judged(ids, found, lambda ticket: self._planned_disposal(ticket, wanted, due))

    def _planned_disposal(
        self, ticket: Ticket, wanted: Wanted, due: dict[tuple[str | None, str | None], dict[str, object]]
    ) -> dict[str, object]:
        """The columns that a disposal changes; ``due`` keeps those of deadlines, which many tickets share."""
        # A report that was sent back leads there, too; disposing anew of what was reported would restart its days.
        if ticket.state != State.CONFIRMED:
            raise LeftOutError(Why.UNCONFIRMED, state=ticket.state)
        if ticket.pending is not None:
            raise LeftOutError(Why.WAITS)
        ordered = wanted.effective or wanted.now
        effective = ordered if wanted.effective or not self.settings.platform.takes_orders else None
        if timestamp(ordered) < (begun := min(ticket.detected_at, ticket.event_time)):
            raise LeftOutError(Why.EARLY, at=begun)
        key = (ticket.decision, ticket.own_due_at)
        if key not in due:
            due[key] = due_columns(*key, ordered, self.calendar, self.settings)
        return {
            **moved_to(ticket, State.DISPOSED),
            "measure": wanted.measure,
            "ordered_at": timestamp(ordered),
            "effective_at": timestamp(effective) if effective else None,
            "effect": "stated" if effective else "ordered",
            **due[key],
        }

    def _disposed(self, changes: Sequence[Change], sealed: SealedEvidence, notes: SealedNotes, wanted: Wanted) -> bool:
        """Write it all in one transaction; False, and nothing, when a ticket changed since its evidence was sealed."""
        chosen = [ticket.ticket_id for ticket, _ in changes]
        with self.catalogue.write(row_locks=True) as connection:
            now = versions_of(connection, chosen, lock=True)
            if any(not now.get(t.ticket_id) == sealed.own[t.ticket_id].version == t.version for t, _ in changes):
                return False
            if notes.keys and text_keys(connection, chosen) != notes.keys:
                return False
            self._add_notes(connection, notes, chosen)
            said = {number: digests_of(sealed, number) for number in chosen}
            self._write_all(connection, changes, "ticket.disposed", {"bulk": True}, said)
            commit_evidence(connection, sealed, self.who.name)
            if self.settings.platform.takes_orders:
                about = [(ticket, sealed.contents[ticket.ticket_id]) for ticket, _ in changes]
                self._order_all(connection, about, wanted.measure or "", wanted.effective or wanted.now)
            return True
