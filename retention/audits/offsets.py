"""Offsets without a message: whether every offset of a topic's partitions is accounted for, and where there was none.

Offsets of a topic count messages. Each offset of a batch is a record, a header, a message that holds nothing (a null
value, white space), or one at which the broker had nothing (event ``source.holes``, written with the batch); those
before the account begins (``source.begins``) are none of these. What is left over, or too many, is a fault. A hole
itself tells nobody why it is there: compaction and the marks of transactions leave some, a broken broker too. Each
partition's are told; of a source that is declared ``gapless`` they are faults.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from retention.audits.report import AuditReport, Severity
from retention.audits.subject import within
from retention.catalogue.events import BEGINS, HOLES
from retention.catalogue.tables import batches, events, partitions

_PAGE: Final = 2_000
NAMED: Final = 5
"""Ranges that a finding names."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Hole:
    """How many offsets of a batch's range [start, end) have no message, and the first ranges of them."""

    source: str
    partition: str
    start: int
    end: int
    offsets: int
    ranges: tuple[tuple[int, int], ...]


def audit_offsets(connection: sa.Connection, report: AuditReport, *, gapless: Collection[str] = ()) -> None:
    """Account for the offsets of every topic's partitions; ``gapless`` names sources that may have no holes."""
    _unaccounted(connection, report)
    found: dict[Key, list[Hole]] = defaultdict(list)
    for hole in _holes(connection, within(report.span, events.c.at)):
        found[hole.source, hole.partition].append(hole)
    for (source, partition), holes in sorted(found.items()):
        ranges = [part for hole in holes for part in hole.ranges]
        said = ", ".join(f"[{start}, {end})" for start, end in ranges[:NAMED]) or f"from {holes[0].start} on"
        declared = source in gapless
        report.add(
            "offsets_without_message",
            f"{source}:{partition}",
            f"{sum(hole.offsets for hole in holes):,} offsets have no message: {said}"
            f"{' …' if len(ranges) > NAMED else ''}. "
            + (
                "The source is declared gapless: these messages were lost before they could be read."
                if declared
                else "Compaction and the marks of transactions leave such; any other topic lost messages there."
            ),
            Severity.FAULT if declared else Severity.NOTICE,
        )
    lacking = sum(hole.offsets for holes in found.values() for hole in holes)
    if lacking:
        report.checked["offsets_without_message"] = lacking


def _unaccounted(connection: sa.Connection, report: AuditReport) -> None:
    """Batches of topics whose messages and holes are not as many as their offsets."""
    b, p = batches.c, partitions.c
    hints = connection.execute(sa.select(p.source, p.partition, p.hint).where(p.hint.like("{%")))
    topics = {(row.source, row.partition) for row in hints if counts_messages(row.hint)}
    if not topics:
        return
    lacking: Counter[tuple[str, str, int, int]] = Counter()
    for hole in _holes(connection, sa.true()):
        lacking[hole.source, hole.partition, hole.start, hole.end] += hole.offsets
    begins = {(source, partition, 0, start) for source, partition, start in _begins(connection)}
    rows = connection.execution_options(yield_per=_PAGE).execute(
        sa.select(b.source, b.partition, b.start, b.end, b.records, b.headers, b.blanks)
        .where(within(report.span, b.committed_at), b.source.in_({source for source, _ in topics}))
        .order_by(b.source, b.partition, b.start)
    )
    for row in rows:
        if (row.source, row.partition) not in topics:
            continue
        key = (row.source, row.partition, row.start, row.end)
        open_ = row.end - row.start - row.records - row.headers - row.blanks - lacking[key]
        if open_ and key not in begins:
            report.add(
                "offsets_unaccounted",
                f"{row.source}:{row.partition} [{row.start}, {row.end})",
                f"{row.end - row.start} offsets, {row.records} records, {row.headers + row.blanks} headers and empty "
                f"messages, {lacking[key]} without a message on record: {abs(open_)} "
                f"{'are nowhere' if open_ > 0 else 'too many'}.",
            )


def counts_messages(hint: str | None) -> bool:
    """Whether a partition's offsets count messages: its hint is that of a topic's partition."""
    try:
        found = json.loads(hint or "")
    except ValueError:
        return False
    return isinstance(found, dict) and "high" in found


def _holes(connection: sa.Connection, seen: sa.ColumnElement[bool]) -> Iterator[Hole]:
    e = events.c
    rows = connection.execute(sa.select(e.subject, e.body).where(e.kind == HOLES, seen).order_by(e.id))
    for row in rows:
        body = json.loads(row.body)
        ranges = tuple((int(start), int(end)) for start, end in body.get("ranges", ()))
        partition = row.subject.removeprefix("partition:")
        yield Hole(str(body["source"]), partition, int(body["start"]), int(body["end"]), int(body["offsets"]), ranges)


def _begins(connection: sa.Connection) -> Iterator[tuple[str, str, int]]:
    e = events.c
    for row in connection.execute(sa.select(e.subject, e.body).where(e.kind == BEGINS)):
        body = json.loads(row.body)
        yield str(body["source"]), row.subject.removeprefix("partition:"), int(body["start"])
