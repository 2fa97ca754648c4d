"""Seals evidence 固定证据: before anything is done to content, a record of class ``evidence`` with a copy of it.

Its package (``packing``) holds what was found with the versions of rules and models and the spans, the archived
records as they came (``copying``), their place in the archive, the manifests of their segments, and the log's proof
of each. ``event_id`` of the record is the ticket's number, from whose closure it is kept. Segments of the class carry
row proofs. A merged group, and whatever else is disposed of at once, is one segment and one commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import sqlalchemy as sa

from retention.catalogue import own_records
from retention.catalogue.engine import Catalogue
from retention.catalogue.sets import among
from retention.catalogue.tables import timestamp
from retention.manifest import SegmentManifest, SegmentPlace
from retention.policies.periods import shanghai_date
from retention.schema import RecordClass, evidence_partition
from retention.segments import Archive, write_segment
from tickets.archived import SOURCE
from tickets.bodies import Bodies
from tickets.copying import Copies, holding_of
from tickets.evidence import Evidence, add_all
from tickets.packing import Packed, as_record, as_table, pack
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


@dataclass(frozen=True)
class SealedEvidence:
    """Evidence of tickets, and of what was merged into them, durable in the archive and ready to be committed."""

    evidence: tuple[Evidence, ...]
    contents: Mapping[str, tuple[Content, ...]]
    """By ticket: its own content, then that of what was merged into it."""
    manifest: SegmentManifest

    @cached_property
    def own(self) -> dict[str, Evidence]:
        """That of each of the tickets itself, by its number."""
        return {one.subject.removeprefix("ticket:"): one for one in self.evidence}


def contents_of(connection: sa.Connection, bodies: Bodies, ticket_id: str) -> tuple[Content, ...]:
    """What a measure on a ticket reaches: its content, and that of the tickets merged into it."""
    (group,) = with_merged(connection, [ticket_id]).values()
    details = ticket_details(connection, bodies, group, history=False)
    return tuple(_content(detail) for detail in details)


def with_merged(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """By each ticket's number: that, and the numbers of what was merged into it, at any remove."""
    c = table.c
    of_root = {number: [number] for number in ids}
    root_of = {number: number for number in ids}
    level = list(of_root)
    while level:
        into = sa.select(c.ticket_id, c.merged_into).where(
            among(connection, c.merged_into, level), c.state == State.MERGED.value
        )
        level = []
        for row in connection.execute(into.order_by(c.ticket_id)):
            if row.ticket_id not in root_of:
                root = root_of[row.ticket_id] = root_of[row.merged_into]
                of_root[root].append(row.ticket_id)
                level.append(row.ticket_id)
    return of_root


def seal_evidence(catalogue: Catalogue, bodies: Bodies, archive: Archive, ids: Sequence[str]) -> SealedEvidence:
    """Gather what there is about tickets and write it to the archive; ``commit_evidence`` takes it in.

    An archived record that cannot be read does not hold a disposal up: the package says which one and why, and has
    the text as the detectors saw it all the same.

    Raises:
        TicketUnknownError: there is no such ticket.
        IntegrityError, KeyAccessError: a sealed body cannot be opened.
        StorageError: the evidence cannot be written, so nothing may be disposed of.
    """
    with catalogue.read() as connection:
        groups = with_merged(connection, ids)
        details = ticket_details(connection, bodies, [n for group in groups.values() for n in group], history=False)
        partitions = [evidence_partition(detail.ticket.ticket_id) for detail in details]
        offsets = own_records.next_offsets(connection, SOURCE, partitions)
        holding = holding_of(connection, details)
    moment = datetime.now(UTC)
    at = timestamp(moment)
    reader = Copies(catalogue, archive, holding)
    evidence, rows = [], []
    for detail, partition in zip(details, partitions, strict=True):
        copies = reader.of(detail)
        proofs = {item["manifest"].segment_id: reader.proof(item["manifest"]) for item in copies}
        packed = pack(detail, copies, proofs, at)
        place = (partition, offsets[partition])
        evidence.append(_evidence(detail, packed, place, at))
        rows.append(as_record(detail, copies, packed, place, moment))
    manifest = write_segment(
        archive,
        as_table(rows),
        record_class=RecordClass.EVIDENCE.value,
        period=shanghai_date(moment).isoformat()[:7],
        places=tuple(
            SegmentPlace(SOURCE, row["log_partition"], row["log_offset"], row["log_offset"] + 1, 1) for row in rows
        ),
    )
    content = {detail.ticket.ticket_id: _content(detail) for detail in details}
    contents = {number: tuple(content[part] for part in group) for number, group in groups.items()}
    return SealedEvidence(tuple(evidence), contents, manifest)


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


def _evidence(detail: TicketDetail, packed: Packed, place: tuple[str, int], at: str) -> Evidence:
    return Evidence(
        subject=f"ticket:{detail.ticket.ticket_id}",
        name=f"evidence-{detail.ticket.version}.json",
        size=len(packed.content),
        sha256=packed.sha256,
        sm3=packed.sm3,
        sealed=b"",
        at=at,
        version=detail.ticket.version,
        user_id=detail.user_id,
        place=place,
    )
