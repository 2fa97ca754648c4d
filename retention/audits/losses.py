"""What sources are known to have lost before it was archived: said when it happened, and in every audit from then on.

A source that moves its cursor over offsets which nobody can deliver any more writes an event ``source.lost`` with
source, start, end and reason. Such a range is no riddle for the audit, and no less a fault.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa

from retention.audits.report import AuditReport
from retention.catalogue.tables import events

KIND = "source.lost"


@dataclass(frozen=True, slots=True)
class Loss:
    """Offsets [start, end) of a partition that were never archived; ``end`` is None where nobody knows how many."""

    source: str
    partition: str
    start: int
    end: int | None
    reason: str
    at: str


def known_losses(connection: sa.Connection) -> list[Loss]:
    """Every loss on record that has a reason, in the order in which they happened."""
    e = events.c
    rows = connection.execute(sa.select(e.subject, e.body, e.at).where(e.kind == KIND).order_by(e.id))
    found = [(row.subject.removeprefix("partition:"), json.loads(row.body), row.at) for row in rows]
    return [
        Loss(str(body["source"]), partition, int(body["start"]), body.get("end"), str(body["reason"]), at)
        for partition, body, at in found
        if "reason" in body
    ]


def report_losses(losses: list[Loss], report: AuditReport) -> None:
    """A fault for every loss, with its reason."""
    for loss in losses:
        place = f"[{loss.start}, {loss.end})" if loss.end is not None else f"[{loss.start}, ...)"
        what = f"{loss.end - loss.start} offsets" if loss.end is not None else "What lay there, if anything,"
        report.add(
            "source_lost",
            f"{loss.source}:{loss.partition} {place}",
            f"{what} were never archived: {loss.reason} (recorded {loss.at}).",
        )


def covers(losses: list[Loss], source: str, partition: str, start: int, end: int) -> bool:
    """Whether [start, end) is exactly what losses on record take up."""
    at = start
    for loss in sorted((x for x in losses if (x.source, x.partition) == (source, partition)), key=lambda x: x.start):
        if loss.start == at and loss.end is not None and loss.end <= end:
            at = loss.end
    return at == end
