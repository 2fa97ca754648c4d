"""Exports an approved disclosure: the scope's own query a class, the proofs of its segments, one signed bundle."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import pyarrow as pa
import sqlalchemy as sa

from errors import BusyError
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import segment_places, segments, timestamp
from retention.crypto.bodies import BodyCipher
from retention.disclosure import bundle
from retention.disclosure.paper import MOST, Records, paper
from retention.disclosure.register import Disclosure, read
from retention.disclosure.requests import exportable, record_export
from retention.printing.pdf import check_fonts, write_pdf
from retention.query.render import renderer
from retention.query.run import Rendered, run_query
from retention.segments import Archive
from retention.transparency.keeping import LogKeeper
from retention.transparency.log import prove_inclusions, state_of, unnumbered

ZONE: Final = "Asia/Shanghai"
_TRIES: Final = 20


class Parts(Protocol):
    """What an export needs of an open store."""

    @property
    def catalogue(self) -> Catalogue:
        """Requests, segments, events."""
        ...

    @property
    def archive(self) -> Archive:
        """The records."""
        ...

    @property
    def bodies(self) -> BodyCipher:
        """Opens what the request is about."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle, not sealed yet, and what is in it."""

    disclosure: Disclosure
    number: int
    data: bytes
    rows: Mapping[str, int]
    segments: int


def export(
    parts: Parts,
    log: LogKeeper,
    disclosure_id: str,
    *,
    actor: str,
    now: datetime,
    fonts: Sequence[str] = (),
) -> Exported:
    """Export exactly the approved scope; the queries and the bundle are on record before it is handed out.

    Raises:
        DisclosureStateError: it is not approved, refused, or has expired.
        FontMissingError: there is no Chinese font for the bundle's PDF, neither in ``fonts`` nor in the system.
        LiucunError: the archive cannot be read.
    """
    began = time.monotonic()
    found = read(parts, disclosure_id)
    exportable(found, now)
    check_fonts(fonts)
    log.keep()
    printed: dict[str, Records] = {}
    files: dict[str, bytes] = {}
    rows: dict[str, int] = {}
    places: set[tuple[str, str, int]] = set()
    for record_class in found.scope.classes:
        name = f"{bundle.DATA}{record_class}.csv"
        taken = _Taken()
        run_query(
            parts,
            found.scope.sql(record_class),
            purpose=f"向主管部门提供 disclosure {disclosure_id}",
            actor=actor,
            render=taken.take,
            basis=found.case.basis,
        )
        files[name], rows[name] = taken.csv, taken.rows
        printed[record_class] = Records(taken.rows, taken.first)
        places |= taken.places
    proofs, note = _state(parts, log, found.scope.classes, places)
    watermark = _watermark(found, now)
    made = {**found.as_json(), "exported_by": actor, "exported_at": timestamp(now), "watermark": watermark}
    document = paper(found, printed, actor=actor, now=now)
    files |= {
        bundle.README: bundle.README_TEXT.format(
            number=disclosure_id, case=found.case.number, authority=found.case.authority
        ).encode(),
        bundle.SCOPE: json.dumps(made, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n",
        bundle.PAPER: write_pdf(document, made_at=now, fonts=fonts),
        bundle.SEGMENTS: json.dumps(proofs, sort_keys=True, indent=1).encode() + b"\n",
        bundle.CHECKPOINT: note.encode(),
        bundle.KEYS: "".join(f"{verifier.encode()}\n" for verifier in log.verifiers).encode(),
    }
    data = bundle.pack(disclosure_id, files, rows, log.signers)
    digests = bundle.digests_of(data)
    spent = timedelta(seconds=time.monotonic() - began)
    number = record_export(parts, disclosure_id, rows=sum(rows.values()), actor=actor, now=now + spent, **digests)
    return Exported(found, number, data, rows, len(proofs))


class _Taken:
    """Takes a result as CSV, and notes where its rows stood."""

    def __init__(self) -> None:
        self.csv = b""
        self.rows = 0
        self.first: list[dict[str, Any]] = []
        self.places: set[tuple[str, str, int]] = set()

    def take(self, table: pa.Table) -> Rendered:
        """Render a result."""
        made = renderer("csv", ZONE)(table)
        self.csv, self.rows = made.data, table.num_rows
        self.first = table.slice(0, MOST).to_pylist()
        names = ("log_source", "log_partition", "log_offset")
        columns: list[Sequence[Any]] = [table.column(name).to_pylist() for name in names]
        self.places = set(zip(*columns, strict=True))
        return made


def _state(
    parts: Parts, log: LogKeeper, classes: Sequence[str], places: set[tuple[str, str, int]]
) -> tuple[list[dict[str, Any]], str]:
    """The proofs of all rows, and the checkpoint that they are all of: the log may grow while they are taken.

    Raises:
        BusyError: it grew each time.
    """
    for _ in range(_TRIES):
        proofs = _proofs(parts, log, classes, places)
        with parts.catalogue.read() as connection:
            state = state_of(connection)
        if all(proof["size"] == state.size for proof in proofs):
            return proofs, state.note or ""
    raise BusyError("The log grew while its proofs were taken.", cure="Export again; nothing was recorded.")


def _proofs(
    parts: Parts, log: LogKeeper, classes: Sequence[str], places: set[tuple[str, str, int]]
) -> list[dict[str, Any]]:
    """For every segment that a row comes from: its manifest, and that the log has it."""
    p, g = segment_places.c, segments.c
    found: dict[str, bytes] = {}
    by_partition: dict[tuple[str, str], list[int]] = {}
    for source, partition, offset in places:
        by_partition.setdefault((source, partition), []).append(offset)
    with parts.catalogue.read() as connection:
        for (source, partition), offsets in by_partition.items():
            rows = connection.execute(
                sa.select(p.segment_id, p.start, p.end, g.manifest)
                .join(segments, g.segment_id == p.segment_id)
                .where(p.source == source, p.partition == partition, g.record_class.in_(classes))
            ).all()
            for row in rows:
                if row[0] not in found and any(row[1] <= offset < row[2] for offset in offsets):
                    found[row[0]] = bytes(row[3])
    proofs = []
    proved = prove_inclusions(parts.catalogue, log.suite, events.SEGMENT, list(found))
    for segment_id, manifest in sorted(found.items()):
        if (proof := proved.get(segment_id)) is None:
            raise unnumbered(events.SEGMENT, segment_id)
        proofs.append(
            {
                "manifest": manifest.decode(),
                "index": proof.index,
                "size": proof.size,
                "path": [base64.b64encode(node).decode() for node in proof.path],
            }
        )
    return proofs


def _watermark(found: Disclosure, now: datetime) -> str:
    return f"{found.disclosure_id} {found.case.authority} {found.case.number} {timestamp(now)}"
