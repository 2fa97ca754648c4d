"""Copies of the archived records that tickets are about, for their evidence: where they lie, and the log's proofs.

A segment that several tickets need is found, read and proved once.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from errors import IntegrityError, KeyAccessError, LiucunError, StorageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.events import SEGMENT
from retention.crypto.suites import Suite
from retention.manifest import SegmentManifest
from retention.schema import RecordClass
from retention.segments import Archive
from retention.transparency.log import InclusionProof, prove_inclusions, unnumbered
from tickets.archived import rows_at, segments_of
from tickets.packing import Proof
from tickets.queue import TicketDetail

MOST_RECORDS: Final = 50
"""Archived records of one ticket that are copied: a piece of content may have been edited often."""
_READERS: Final = 4


@dataclass(frozen=True, slots=True)
class Holding:
    """Which segments may hold the records of some tickets: by ticket, and the places wanted of each segment."""

    of_ticket: dict[str, list[SegmentManifest]]
    wanted: dict[str, set[tuple[str, int]]]


class Copies:
    """The archived records of some tickets, and the log's proofs of their segments, all read when this is made."""

    def __init__(self, catalogue: Catalogue, archive: Archive, holding: Holding) -> None:
        self._archive = archive
        self._holding = holding
        manifests = {one.segment_id: one for some in holding.of_ticket.values() for one in some}
        # Beside each other: most of the time goes by in the store and in native code.
        with ThreadPoolExecutor(max_workers=_READERS) as readers:
            self._rows = dict(zip(manifests, readers.map(self._read, manifests.values()), strict=True))
        self._proofs = _proofs(catalogue, archive.suite, manifests)

    def of(self, detail: TicketDetail) -> list[dict[str, Any]]:
        """Of each archived record of a ticket: ``record`` (its columns) or ``missing`` (why not), and ``manifest``."""
        found: list[dict[str, Any]] = []
        for manifest in self._holding.of_ticket[detail.ticket.ticket_id]:
            rows = self._rows[manifest.segment_id]
            if isinstance(rows, str):
                found.append({"manifest": manifest, "missing": rows})
                continue
            found += [
                {"manifest": manifest, "record": row} for place in places_of(detail) for row in rows.get(place, ())
            ]
        return found

    def proof(self, manifest: SegmentManifest) -> Proof:
        """A segment's manifest and the log's proof of it; without one when the log has not numbered it yet."""
        return self._proofs[manifest.segment_id]

    def _read(self, manifest: SegmentManifest) -> dict[tuple[str, int], list[dict[str, Any]]] | str:
        """The records of a segment that any of the tickets wants, by place, or why they cannot be read."""
        by_place: dict[tuple[str, int], list[dict[str, Any]]] = {}
        try:
            for row in rows_at(self._archive, manifest, self._holding.wanted[manifest.segment_id]):
                by_place.setdefault((row["log_partition"], row["log_offset"]), []).append(row)
        except (IntegrityError, KeyAccessError, StorageError) as error:
            return error.what
        return by_place


def _proofs(catalogue: Catalogue, suite: Suite, manifests: Mapping[str, SegmentManifest]) -> dict[str, Proof]:
    """Each segment's manifest with the log's proof, or why there is none."""
    known: Mapping[str, InclusionProof] = {}
    why: str | None = None
    try:
        known = prove_inclusions(catalogue, suite, SEGMENT, list(manifests))
    except LiucunError as error:
        why = error.what
    proofs = {}
    for segment_id, manifest in manifests.items():
        told: dict[str, Any] = {"manifest": manifest.to_bytes().decode(), "log": None}
        if (proof := known.get(segment_id)) is None:
            told["log_missing"] = why or unnumbered(SEGMENT, segment_id).what
        else:
            path = [base64.b64encode(node).decode() for node in proof.path]
            told["log"] = {"index": proof.index, "size": proof.size, "path": path, "checkpoint": proof.note}
        proofs[segment_id] = Proof.of(told)
    return proofs


def places_of(detail: TicketDetail) -> list[tuple[str, int]]:
    """(partition, offset) of every archived record that the ticket is about, its first one first."""
    ticket = detail.ticket
    others = ((str(found["partition"]), int(found["offset"])) for found in detail.findings)
    return list(dict.fromkeys([(ticket.partition, ticket.offset), *others]))[:MOST_RECORDS]


def holding_of(connection: sa.Connection, details: Sequence[TicketDetail]) -> Holding:
    """The segments that may hold the records of some tickets."""
    holding = Holding({detail.ticket.ticket_id: [] for detail in details}, {})
    of_class: dict[str, list[TicketDetail]] = {}
    for detail in details:
        of_class.setdefault(detail.ticket.record_class, []).append(detail)
    for record_class, some in of_class.items():
        places = {detail.ticket.ticket_id: places_of(detail) for detail in some}
        asked = [(d.ticket.source, *place) for d in some for place in places[d.ticket.ticket_id]]
        found = segments_of(connection, list(dict.fromkeys(asked)), (record_class, RecordClass.UNPARSED.value))
        for detail in some:
            mine: dict[str, SegmentManifest] = {}
            for place in places[detail.ticket.ticket_id]:
                for manifest in found.get((detail.ticket.source, *place), ()):
                    mine[manifest.segment_id] = manifest
                    holding.wanted.setdefault(manifest.segment_id, set()).add(place)
            holding.of_ticket[detail.ticket.ticket_id] = list(mine.values())
    return holding
