"""Writes what a batch opened and extended: each table in one statement, an event a ticket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from retention.catalogue import events
from tickets.recall import insert_sketches
from tickets.similar import Sketch
from tickets.states import Part, State
from tickets.tables import findings as finding_table
from tickets.tables import texts as text_table
from tickets.tables import tickets as ticket_table

ACTOR = "system:detect"


@dataclass(slots=True)
class OpeningRows:
    """What a batch writes, collected so that each table is written once.

    ``dismissed`` are (ticket, the ticket whose dismissal is remembered).
    """

    opened: list[dict[str, object]] = field(default_factory=list)
    extended: list[dict[str, object]] = field(default_factory=list)
    reopened: list[str] = field(default_factory=list)
    dismissed: list[tuple[str, str]] = field(default_factory=list)
    findings: list[dict[str, object]] = field(default_factory=list)
    sketches: list[tuple[str, Sketch | None]] = field(default_factory=list)
    texts: list[dict[str, object]] = field(default_factory=list)

    def write(self, connection: sa.Connection) -> None:
        """Write tickets, findings, sketches and events."""
        if self.opened:
            connection.execute(ticket_table.insert(), self.opened)
        if self.extended:
            _extend(connection, self.extended)
        if self.reopened:
            _reopen(connection, self.reopened)
        if self.findings:
            connection.execute(finding_table.insert(), self.findings)
        if self.texts:
            connection.execute(text_table.insert(), self.texts)
        if self.sketches:
            insert_sketches(connection, self.sketches)
        _record(connection, self)


def _extend(connection: sa.Connection, rows: list[dict[str, object]]) -> None:
    c = ticket_table.c
    connection.execute(
        ticket_table.update()
        .where(c.ticket_id == sa.bindparam("b_ticket_id"))
        .values(
            severity=sa.bindparam("b_severity"),
            reach=sa.bindparam("b_reach"),
            weight=sa.bindparam("b_weight"),
            subtype=sa.bindparam("b_subtype"),
            category=sa.bindparam("b_category"),
            score=sa.bindparam("b_score"),
            findings=c.findings + sa.bindparam("b_findings"),
            version=c.version + 1,
        ),
        rows,
    )


def _reopen(connection: sa.Connection, ids: Sequence[str]) -> None:
    c = ticket_table.c
    connection.execute(
        ticket_table.update()
        .where(c.ticket_id == sa.bindparam("b_ticket_id"))
        .values(
            state=State.DETECTED.value, part=int(Part.DISPOSE), triaged_by=None, triaged_at=None, version=c.version + 1
        ),
        [{"b_ticket_id": ticket_id} for ticket_id in ids],
    )


def _record(connection: sa.Connection, batch: OpeningRows) -> None:
    extended = {str(row["b_ticket_id"]): {"findings": row["b_findings"]} for row in batch.extended}
    reopened = {ticket_id: {"from": State.DISMISSED.value, "to": State.DETECTED.value} for ticket_id in batch.reopened}
    dismissed = {
        ticket_id: {"from": State.DETECTED.value, "to": State.DISMISSED.value, "as": earlier}
        for ticket_id, earlier in batch.dismissed
    }
    for kind, bodies in (
        ("ticket.opened", {str(row["ticket_id"]): opening_event(row) for row in batch.opened}),
        ("ticket.extended", extended),
        ("ticket.reopened", reopened),
        ("ticket.auto_dismissed", dismissed),
    ):
        rows = [(f"ticket:{ticket_id}", body) for ticket_id, body in bodies.items()]
        events.append_many(connection, rows, kind=kind, actor=ACTOR)


def opening_event(row: Mapping[str, object]) -> dict[str, object]:
    """What the first event of a ticket says."""
    return {
        "to": State.DETECTED.value,
        **{name: row[name] for name in ("category", "severity", "channel", "detected_at", "linked_to")},
    }
