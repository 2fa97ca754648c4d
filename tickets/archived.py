"""Records of tickets in the archive, found by their place; and evidence 证据 taken out again, on record.

What was sealed before a disposal (``sealing``) is read here: compared with the digests that stood in the event, and
never without a purpose, because it shows a person's data.
"""

from __future__ import annotations

import base64
import secrets
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
from retention.schema import as_current
from retention.segments import Archive, open_segment
from tickets.bodies import Bodies
from tickets.evidence import StoredFile, list_evidence, open_evidence
from tickets.queue import get_ticket

SOURCE: Final = "system:evidence"
"""The source of records of evidence; each ticket has a partition of its own in it."""
MAX_PURPOSE: Final = 1000


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
    """The segments, of any class, whose ranges hold a place; at most twenty."""
    p = segment_places.c
    rows = connection.execute(
        sa.select(segments.c.manifest)
        .join(segment_places, p.segment_id == segments.c.segment_id)
        .where(p.source == source, p.partition == partition, p.start <= offset, p.end > offset)
        .order_by(segments.c.segment_id)
        .limit(20)
    )
    return [SegmentManifest.from_bytes(bytes(row.manifest)) for row in rows]


def rows_at(archive: Archive, manifest: SegmentManifest, wanted: set[tuple[str, int]]) -> list[dict[str, Any]]:
    """The records of a segment that stand at some (partition, offset), as columns.

    Raises:
        IntegrityError, KeyAccessError, StorageError: the segment cannot be read.
    """
    offsets = sorted({offset for _, offset in wanted})
    found = (
        open_segment(archive, manifest)
        .fragment()
        .to_table(filter=ds.field("log_offset").isin(offsets), use_threads=False)
    )
    return [row for row in as_current(found).to_pylist() if (row["log_partition"], row["log_offset"]) in wanted]
