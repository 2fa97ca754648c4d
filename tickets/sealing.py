"""Seals evidence 固定证据: before anything is done to content, a record of class ``evidence`` with a copy of it.

Its package (``packing``) holds what was found with the versions of rules and models and the spans, the archived
records as they came (``copying``), their place in the archive, the manifests of their segments, and the log's proof
of each. ``event_id`` of the record is the ticket's number, from whose closure it is kept. Segments of the class carry
row proofs. A merged group is one segment and one commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import sqlalchemy as sa

from retention.catalogue import own_records
from retention.catalogue.engine import Catalogue
from retention.catalogue.sets import among
from retention.catalogue.tables import timestamp
from retention.manifest import SegmentManifest, SegmentPlace
from retention.policies.periods import shanghai_date
from retention.schema import RECORD_SCHEMA, RecordClass, evidence_partition
from retention.segments import Archive, write_segment
from tickets.archived import SOURCE
from tickets.bodies import Bodies
from tickets.copying import Copies, holding_of
from tickets.evidence import Evidence, add_all
from tickets.packing import Packed, as_record, pack
from tickets.queue import TicketDetail, ticket_details
from tickets.states import State
from tickets.tables import tickets as table


@dataclass(frozen=True, slots=True)
class Content:
    """A piece of content that a disposal is about, as the platform must find it."""

    ticket_id: str
    content_id: str | None
    source: str
    user_id: str | None


@dataclass(frozen=True, slots=True)
class SealedEvidence:
    """Evidence of a ticket, and of what was merged into it, durable in the archive and ready to be committed."""

    evidence: tuple[Evidence, ...]
    contents: tuple[Content, ...]
    manifest: SegmentManifest

    @property
    def own(self) -> Evidence:
        """That of the ticket itself."""
        return self.evidence[0]


def contents_of(connection: sa.Connection, bodies: Bodies, ticket_id: str) -> tuple[Content, ...]:
    """What a measure on a ticket reaches: its content, and that of the tickets merged into it."""
    details = ticket_details(connection, bodies, with_merged(connection, ticket_id), history=False)
    return tuple(_content(detail) for detail in details)


def with_merged(connection: sa.Connection, ticket_id: str) -> list[str]:
    """A ticket's number, and those of what was merged into it, at any remove."""
    c = table.c
    found, level = dict.fromkeys([ticket_id]), [ticket_id]
    while level:
        into = sa.select(c.ticket_id).where(among(connection, c.merged_into, level), c.state == State.MERGED.value)
        new = [number for number in connection.execute(into).scalars() if number not in found]
        found |= dict.fromkeys(new)
        level = new
    return list(found)


def seal_evidence(catalogue: Catalogue, bodies: Bodies, archive: Archive, ticket_id: str) -> SealedEvidence:
    """Gather what there is about a ticket and write it to the archive; ``commit_evidence`` takes it in.

    An archived record that cannot be read does not hold a disposal up: the package says which one and why, and has
    the text as the detectors saw it all the same.

    Raises:
        TicketUnknownError: there is no such ticket.
        IntegrityError, KeyAccessError: its sealed body cannot be opened.
        StorageError: the evidence cannot be written, so nothing may be disposed of.
    """
    with catalogue.read() as connection:
        details = ticket_details(connection, bodies, with_merged(connection, ticket_id), history=False)
        partitions = [evidence_partition(detail.ticket.ticket_id) for detail in details]
        offsets = own_records.next_offsets(connection, SOURCE, partitions)
        holding = holding_of(connection, details)
    moment = datetime.now(UTC)
    reader = Copies(catalogue, archive, holding)
    evidence, rows = [], []
    for detail, partition in zip(details, partitions, strict=True):
        copies = reader.of(detail)
        proofs = {item["manifest"].segment_id: reader.proof(item["manifest"]) for item in copies}
        packed = pack(detail, copies, proofs, moment)
        place = (partition, offsets[partition])
        evidence.append(_evidence(detail, packed, place, moment))
        rows.append(as_record(detail, copies, packed, place, moment))
    manifest = write_segment(
        archive,
        pa.Table.from_pylist(rows, schema=RECORD_SCHEMA),
        record_class=RecordClass.EVIDENCE.value,
        period=shanghai_date(moment).isoformat()[:7],
        places=tuple(
            SegmentPlace(SOURCE, row["log_partition"], row["log_offset"], row["log_offset"] + 1, 1) for row in rows
        ),
    )
    return SealedEvidence(tuple(evidence), tuple(_content(detail) for detail in details), manifest)


def commit_evidence(connection: sa.Connection, sealed: SealedEvidence, actor: str) -> None:
    """Take sealed evidence in, in the transaction of the step that rests on it.

    Raises:
        BusyError: somebody else sealed evidence of the same ticket meanwhile.
    """
    own_records.take_in(connection, sealed.manifest)
    add_all(connection, sealed.evidence, actor)


def _content(detail: TicketDetail) -> Content:
    ticket = detail.ticket
    return Content(ticket.ticket_id, ticket.content_id, ticket.source, detail.user_id)


def _evidence(detail: TicketDetail, packed: Packed, place: tuple[str, int], moment: datetime) -> Evidence:
    return Evidence(
        subject=f"ticket:{detail.ticket.ticket_id}",
        name=f"evidence-{detail.ticket.version}.json",
        size=len(packed.content),
        sha256=packed.sha256,
        sm3=packed.sm3,
        sealed=b"",
        at=timestamp(moment),
        version=detail.ticket.version,
        user_id=detail.user_id,
        place=place,
    )
