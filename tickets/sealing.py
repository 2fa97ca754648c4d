"""Seals evidence 固定证据: before anything is done to content, a record of class ``evidence`` with a copy of it.

The record's ``raw`` is a package of JSON: what was found with the versions of rules and models and the spans, the
archived records as they came, their place in the archive, the manifests of their segments, and the log's proof of
each. Its columns are those of the archived record, so that it answers the same questions; ``event_id`` is the
ticket's number, from whose closure it is kept. Segments of the class carry row proofs.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from errors import IntegrityError, KeyAccessError, LiucunError, StorageError
from retention.catalogue import own_records
from retention.catalogue.engine import Catalogue
from retention.catalogue.events import SEGMENT
from retention.catalogue.tables import timestamp
from retention.manifest import SegmentManifest, SegmentPlace
from retention.policies.periods import shanghai_date
from retention.schema import RECORD_SCHEMA, RecordClass
from retention.segments import Archive, write_segment
from retention.transparency.log import prove_inclusion
from tickets.archived import SOURCE, rows_at, segments_of
from tickets.bodies import Bodies
from tickets.evidence import Evidence, add_all
from tickets.queue import TicketDetail, ticket_details
from tickets.states import State
from tickets.tables import tickets as table

FORMAT: Final = 2
MOST_RECORDS: Final = 50
"""Archived records of one ticket that are copied: a piece of content may have been edited often."""
_OWN: Final = ("event_time", "event_id", "event_action", "event_outcome", "message")
_COPIED: Final = tuple(
    name
    for name in RECORD_SCHEMA.names
    if not name.startswith(("log_", "error_")) and name not in (*_OWN, "event_ingested", "flags", "extra", "raw")
)


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
    details = ticket_details(connection, bodies, with_merged(connection, ticket_id))
    return tuple(_content(detail) for detail in details)


def with_merged(connection: sa.Connection, ticket_id: str) -> list[str]:
    """A ticket's number, and those of what was merged into it, at any remove."""
    c = table.c
    found, level = dict.fromkeys([ticket_id]), [ticket_id]
    while level:
        into = sa.select(c.ticket_id).where(c.merged_into.in_(level[:500]), c.state == State.MERGED.value)
        new = [number for number in connection.execute(into).scalars() if number not in found]
        found |= dict.fromkeys(new)
        level = level[500:] + new
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
        details = ticket_details(connection, bodies, with_merged(connection, ticket_id))
        offsets = own_records.next_offsets(connection, SOURCE, [_partition(detail) for detail in details])
        holding = _holding(connection, details)
    moment = datetime.now(UTC)
    reader = _Reader(catalogue, archive, holding)
    evidence, rows = [], []
    for detail in details:
        copies = reader.copies(detail)
        content = _package(detail, copies, reader, moment)
        place = (_partition(detail), offsets[_partition(detail)])
        evidence.append(_evidence(detail, content, place, moment))
        rows.append(_row(detail, copies, content, place, moment))
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


@dataclass(frozen=True, slots=True)
class _Holding:
    """Which segments may hold the records of some tickets: by ticket, and the places wanted of each segment."""

    of_ticket: dict[str, list[SegmentManifest]]
    wanted: dict[str, set[tuple[str, int]]]


class _Reader:
    """Copies archived records; a segment that several tickets need is read once."""

    def __init__(self, catalogue: Catalogue, archive: Archive, holding: _Holding) -> None:
        self._catalogue = catalogue
        self._archive = archive
        self._holding = holding
        self._rows: dict[str, dict[tuple[str, int], list[dict[str, Any]]] | str] = {}
        self._proofs: dict[str, dict[str, Any]] = {}

    def copies(self, detail: TicketDetail) -> list[dict[str, Any]]:
        """Of each archived record of a ticket: ``record`` (its columns) or ``missing`` (why not), and ``manifest``."""
        found: list[dict[str, Any]] = []
        for manifest in self._holding.of_ticket[detail.ticket.ticket_id]:
            rows = self._read(manifest)
            if isinstance(rows, str):
                found.append({"manifest": manifest, "missing": rows})
                continue
            found += [{"manifest": manifest, "record": row} for place in _places(detail) for row in rows.get(place, ())]
        return found

    def _read(self, manifest: SegmentManifest) -> dict[tuple[str, int], list[dict[str, Any]]] | str:
        """The records of a segment that any of the tickets wants, by place, or why they cannot be read."""
        known = self._rows.get(manifest.segment_id)
        if known is not None:
            return known
        by_place: dict[tuple[str, int], list[dict[str, Any]]] = {}
        try:
            for row in rows_at(self._archive, manifest, self._holding.wanted[manifest.segment_id]):
                by_place.setdefault((row["log_partition"], row["log_offset"]), []).append(row)
        except (IntegrityError, KeyAccessError, StorageError) as error:
            self._rows[manifest.segment_id] = error.what
            return error.what
        self._rows[manifest.segment_id] = by_place
        return by_place

    def proof(self, manifest: SegmentManifest) -> dict[str, Any]:
        """A segment's manifest and the log's proof of it; without one when the log has not numbered it yet."""
        if manifest.segment_id not in self._proofs:
            told: dict[str, Any] = {"manifest": manifest.to_bytes().decode(), "log": None}
            try:
                proof = prove_inclusion(self._catalogue, self._archive.suite, SEGMENT, manifest.segment_id)
                path = [base64.b64encode(node).decode() for node in proof.path]
                told["log"] = {"index": proof.index, "size": proof.size, "path": path, "checkpoint": proof.note}
            except LiucunError as error:
                told["log_missing"] = error.what
            self._proofs[manifest.segment_id] = told
        return self._proofs[manifest.segment_id]


def _content(detail: TicketDetail) -> Content:
    ticket = detail.ticket
    return Content(ticket.ticket_id, ticket.content_id, ticket.source, detail.user_id)


def _partition(detail: TicketDetail) -> str:
    return f"ticket:{detail.ticket.ticket_id}"


def _places(detail: TicketDetail) -> list[tuple[str, int]]:
    """(partition, offset) of every archived record that the ticket is about, its first one first."""
    ticket = detail.ticket
    others = ((str(found["partition"]), int(found["offset"])) for found in detail.findings)
    return list(dict.fromkeys([(ticket.partition, ticket.offset), *others]))[:MOST_RECORDS]


def _holding(connection: sa.Connection, details: Sequence[TicketDetail]) -> _Holding:
    """The segments that may hold the tickets' records."""
    holding = _Holding({detail.ticket.ticket_id: [] for detail in details}, {})
    of_class: dict[str, list[TicketDetail]] = {}
    for detail in details:
        of_class.setdefault(detail.ticket.record_class, []).append(detail)
    for record_class, some in of_class.items():
        places = {detail.ticket.ticket_id: _places(detail) for detail in some}
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


def _package(detail: TicketDetail, copies: Sequence[Mapping[str, Any]], reader: _Reader, moment: datetime) -> bytes:
    ticket = detail.ticket
    proofs = {item["manifest"].segment_id: reader.proof(item["manifest"]) for item in copies}
    package = {
        "format": FORMAT,
        "ticket": ticket.ticket_id,
        "sealed_at": timestamp(moment),
        "account": detail.user_id,
        "details": detail.details,
        "category": ticket.category,
        "subtype": ticket.subtype,
        "decision": ticket.decision,
        "channel": ticket.channel,
        "texts": list(detail.texts),
        "findings": list(detail.findings),
        "place": {"source": ticket.source, "partition": ticket.partition, "offset": ticket.offset},
        "record_class": ticket.record_class,
        "content_id": ticket.content_id,
        "published_at": ticket.event_time,
        "detected_at": ticket.detected_at,
        "blocked_at": ticket.blocked_at,
        "records": [_shown(item) for item in copies],
        "segments": proofs,
    }
    content = json.dumps(package, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return content.encode("utf-8", "surrogatepass")


def _shown(copy: Mapping[str, Any]) -> dict[str, Any]:
    segment = copy["manifest"].segment_id
    if "record" not in copy:
        return {"segment": segment, "missing": copy["missing"]}
    record = {name: _plain(value) for name, value in copy["record"].items() if value is not None}
    return {"segment": segment, "record": record}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$b64": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return timestamp(value)
    return dict(value) if isinstance(value, list) else value


def _evidence(detail: TicketDetail, content: bytes, place: tuple[str, int], moment: datetime) -> Evidence:
    return Evidence(
        subject=f"ticket:{detail.ticket.ticket_id}",
        name=f"evidence-{detail.ticket.version}.json",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sm3=hashlib.new("sm3", content).hexdigest(),
        sealed=b"",
        at=timestamp(moment),
        version=detail.ticket.version,
        user_id=detail.user_id,
        place=place,
    )


def _row(
    detail: TicketDetail,
    copies: Iterable[Mapping[str, Any]],
    content: bytes,
    place: tuple[str, int],
    moment: datetime,
) -> dict[str, Any]:
    """The record: the columns of the archived one, else what the ticket knows of it."""
    ticket = detail.ticket
    own = (ticket.partition, ticket.offset)
    records = [item["record"] for item in copies if "record" in item]
    record: Mapping[str, Any] = next((r for r in records if (r["log_partition"], r["log_offset"]) == own), {})
    extra = {
        "record_class": ticket.record_class,
        "record_source": ticket.source,
        "record_partition": ticket.partition,
        "record_offset": str(ticket.offset),
        "published_at": ticket.event_time,
        "detected_at": ticket.detected_at,
        "category": ticket.category,
        "decision": ticket.decision or "",
        "sha256": hashlib.sha256(content).hexdigest(),
        "sm3": hashlib.new("sm3", content).hexdigest(),
    }
    copied = {name: record.get(name) for name in _COPIED}
    return {
        **dict.fromkeys(RECORD_SCHEMA.names),
        **copied,
        "user_id": _text(detail.user_id),
        "content_id": ticket.content_id,
        "url_original": copied.get("url_original") or _text(detail.details.get("url")),
        "text": _text("\n".join(str(entry["text"]) for entry in detail.texts)),
        "log_source": SOURCE,
        "log_partition": place[0],
        "log_offset": place[1],
        "log_length": 1,
        "event_ingested": moment,
        "event_time": moment,
        "event_id": ticket.ticket_id,
        "event_action": "evidence.sealed",
        "extra": list(extra.items()),
        "raw": content,
    }


def _text(value: str | None) -> str | None:
    """Text that a column can hold; the package has it as it was."""
    return None if value is None else value.encode("utf-8", "replace").decode()
