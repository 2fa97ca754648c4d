"""Records of tickets in the archive, found by their place; and evidence 证据 taken out again, on record.

What was sealed before a disposal (``sealing``) is read here: compared with the digests that stood in the event, and
never without a purpose, because it shows a person's data.
"""

from __future__ import annotations

import base64
import secrets
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow.dataset as ds
import sqlalchemy as sa

from errors import UsageError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import segment_places, segments
from retention.manifest import SegmentManifest
from retention.schema import EVIDENCE_SOURCE, as_current
from retention.segments import Archive, open_segment
from tickets.bodies import Bodies
from tickets.evidence import StoredFile, list_evidence, open_evidence
from tickets.queue import get_ticket

SOURCE: Final = EVIDENCE_SOURCE
MAX_PURPOSE: Final = 1000
_ALWAYS: Final = ("log_partition", "log_offset", "raw")
_PLACES: Final = 100
_MOST_RANGES: Final = 2_000
_LOOK_UP: Final = 500


@dataclass(frozen=True, slots=True)
class TakenOut:
    """A piece of evidence with its content, whose digests were compared."""

    file: StoredFile
    content: bytes


def take_out(
    catalogue: Catalogue,
    bodies: Bodies,
    archive: Archive,
    ticket_id: str,
    *,
    actor: str,
    purpose: str,
    only: Sequence[int] | None = None,
) -> list[TakenOut]:
    """The evidence of a ticket, or ``only`` some numbers of it; that it was taken out is an event, the purpose sealed.

    Raises:
        TicketUnknownError: there is no such ticket.
        UsageError: there is no purpose, no such evidence, or its retention has ended.
        IntegrityError, KeyAccessError, StorageError: it cannot be read, or is not what was sealed.
    """
    purpose = purpose.strip()
    if not purpose or len(purpose) > MAX_PURPOSE:
        raise UsageError(
            f"A purpose of up to {MAX_PURPOSE} characters is needed.", cure="Say what the evidence is taken out for."
        )
    found: list[TakenOut] = []
    with catalogue.read() as connection:
        get_ticket(connection, ticket_id)
        for file in list_evidence(connection, [f"ticket:{ticket_id}"]):
            if only is not None and file.id not in only:
                continue
            _, content = open_evidence(
                connection,
                bodies,
                file.id,
                archived=lambda partition, offset: read_package(connection, archive, partition, offset),
            )
            found.append(TakenOut(file, content))
    if not found:
        raise UsageError(
            f"The ticket {ticket_id} has no such evidence.", cure="Evidence is sealed when a ticket is disposed of."
        )
    number = secrets.token_hex(8)
    sealed = bodies.seal(purpose.encode("utf-8", "replace"), f"evidence read\x00{number}".encode())
    said = {
        "read": number,
        "files": [taken.file.id for taken in found],
        "purpose_sealed": base64.b64encode(sealed).decode(),
    }
    with catalogue.write() as connection:
        events.append(connection, kind="evidence.read", actor=actor, subject=f"ticket:{ticket_id}", body=said)
    return found


def read_package(connection: sa.Connection, archive: Archive, partition: str, offset: int) -> bytes:
    """The package of a record of evidence.

    Raises:
        UsageError: it is no longer in the archive: its period has ended.
        IntegrityError, KeyAccessError, StorageError: it cannot be read.
    """
    for manifest in segments_at(connection, SOURCE, partition, offset):
        for row in rows_at(archive, manifest, {(partition, offset)}):
            return bytes(row["raw"])
    raise UsageError(
        f"The evidence {partition} number {offset} is no longer in the archive.",
        cure="Its retention has ended; `liucun audit retention` names the certificate of its destruction.",
    )


def segments_at(connection: sa.Connection, source: str, partition: str, offset: int) -> list[SegmentManifest]:
    """The segments, of any class, whose ranges hold a place."""
    found = segments_of(connection, [(source, partition, offset)])
    return found.get((source, partition, offset), [])


def segments_of(
    connection: sa.Connection, places: Sequence[tuple[str, str, int]], classes: Sequence[str] | None = None
) -> dict[tuple[str, str, int], list[SegmentManifest]]:
    """The segments whose ranges hold each of some (source, partition, offset), of ``classes`` only."""
    s = segments.c
    wanted: dict[tuple[str, str], list[int]] = {}
    for source, partition, offset in places:
        wanted.setdefault((source, partition), []).append(offset)
    named: dict[tuple[str, str, int], list[str]] = {}
    for (source, partition), unsorted in wanted.items():
        offsets = sorted(unsorted)
        for row in _ranges(connection, source, partition, offsets, classes):
            for offset in offsets[bisect_left(offsets, row.start) : bisect_left(offsets, row.end)]:
                named.setdefault((source, partition, offset), []).append(row.segment_id)
    ids = sorted({number for numbers in named.values() for number in numbers})
    manifests: dict[str, SegmentManifest] = {}
    for begin in range(0, len(ids), _LOOK_UP):
        read = sa.select(s.segment_id, s.manifest).where(s.segment_id.in_(ids[begin : begin + _LOOK_UP]))
        manifests |= {
            row.segment_id: SegmentManifest.from_bytes(bytes(row.manifest)) for row in connection.execute(read)
        }
    return {
        place: [manifests[number] for number in dict.fromkeys(numbers) if number in manifests]
        for place, numbers in named.items()
    }


def _ranges(
    connection: sa.Connection, source: str, partition: str, offsets: Sequence[int], classes: Sequence[str] | None
) -> list[Any]:
    """The segments' ranges that may hold some of these offsets, which are in order."""
    p, s = segment_places.c, segments.c
    chosen = (
        sa.select(p.segment_id, p.start, p.end)
        .join(segments, s.segment_id == p.segment_id)
        .where(p.source == source, p.partition == partition)
        .order_by(p.segment_id, p.start)
    )
    if classes is not None:
        chosen = chosen.where(s.record_class.in_(classes))
    spanned = chosen.where(p.start <= offsets[-1], p.end > offsets[0]).limit(_MOST_RANGES)
    found = list(connection.execute(spanned))
    if len(found) < _MOST_RANGES:
        return found
    # The offsets lie far apart: only the ranges that hold one of them.
    found = []
    for begin in range(0, len(offsets), _PLACES):
        part = offsets[begin : begin + _PLACES]
        held = sa.or_(*(sa.and_(p.start <= offset, p.end > offset) for offset in part))
        found += connection.execute(chosen.where(held))
    return found


def rows_at(archive: Archive, manifest: SegmentManifest, wanted: set[tuple[str, int]]) -> list[dict[str, Any]]:
    """The records of a segment that stand at some (partition, offset), each with the columns that any of them has.

    Raises:
        IntegrityError, KeyAccessError, StorageError: the segment cannot be read.
    """
    offsets = sorted({offset for _, offset in wanted})
    found = (
        open_segment(archive, manifest)
        .fragment()
        .to_table(filter=ds.field("log_offset").isin(offsets), use_threads=False)
    )
    found = as_current(found)
    there = [name for name in found.column_names if name in _ALWAYS or found.column(name).null_count < found.num_rows]
    rows = found.select(there).to_pylist()
    return [row for row in rows if (row["log_partition"], row["log_offset"]) in wanted]
