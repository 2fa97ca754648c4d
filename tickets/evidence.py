"""Evidence 证据: what was found and where it lies, sealed with both digests before anything is done to the content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from errors import IntegrityError, UsageError
from retention.catalogue import events
from retention.catalogue.tables import segment_places, segments, timestamp
from tickets.bodies import Bodies
from tickets.queue import ticket_detail
from tickets.tables_work import files

MAX_FILE: Final = 16 << 20
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sealed piece of evidence that is ready to be stored; ``version`` is the ticket's when it was gathered."""

    subject: str
    name: str
    size: int
    sha256: str
    sm3: str
    sealed: bytes
    at: str
    version: int = 0
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored piece of evidence; its digests are those of the content, hexadecimal."""

    id: int
    subject: str
    name: str
    bytes: int
    sha256: str
    sm3: str
    at: str
    actor: str


def seal_file(bodies: Bodies, subject: str, name: str, content: bytes, **more: Any) -> Evidence:
    """Seal a file as evidence of a subject (``ticket:…``, ``duty:…``, ``report:…``).

    Raises:
        UsageError: it is empty, larger than 16 MiB, or its name is no name.
    """
    if not content or len(content) > MAX_FILE:
        raise UsageError(f"The file {name!r} is empty or larger than 16 MiB.", cure="Give a smaller file.")
    if not name.strip() or len(name) > 200 or "/" in name or "\x00" in name:
        raise UsageError("The name of the file is missing, too long or a path.", cure="Give a plain file name.")
    at = timestamp()
    digests = hashlib.sha256(content).hexdigest(), hashlib.new("sm3", content).hexdigest()
    sealed = bodies.seal(content, _context(subject, name, at, digests[0]))
    return Evidence(subject, name, len(content), *digests, sealed, at, **more)


def prepare_evidence(connection: sa.Connection, bodies: Bodies, ticket_id: str) -> Evidence:
    """Gather and seal what there is about a ticket: text, hits, versions, its place in the archive and the segments."""
    detail = ticket_detail(connection, bodies, ticket_id)
    ticket = detail.ticket
    package = {
        "format": FORMAT,
        "ticket": ticket_id,
        "account": detail.user_id,
        "details": detail.details,
        "texts": list(detail.texts),
        "findings": list(detail.findings),
        "place": {"source": ticket.source, "partition": ticket.partition, "offset": ticket.offset},
        "record_class": ticket.record_class,
        "content_id": ticket.content_id,
        "published_at": ticket.event_time,
        "detected_at": ticket.detected_at,
        "segments": _segments(connection, ticket.source, ticket.partition, ticket.offset),
    }
    content = json.dumps(package, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return seal_file(
        bodies,
        f"ticket:{ticket_id}",
        f"evidence-{ticket.version}.json",
        content.encode("utf-8", "surrogatepass"),
        version=ticket.version,
        user_id=detail.user_id,
    )


def add_evidence(connection: sa.Connection, evidence: Evidence, actor: str) -> int:
    """Store sealed evidence; returns its number."""
    added = connection.execute(
        files.insert().values(
            subject=evidence.subject,
            name=evidence.name,
            bytes=evidence.size,
            sha256=evidence.sha256,
            sm3=evidence.sm3,
            at=evidence.at,
            actor=actor,
            body=evidence.sealed,
        )
    ).inserted_primary_key
    assert added is not None
    # An event of its own: it carries the sealed file into the log, once, and not with every step of the ticket.
    events.append(
        connection,
        kind="evidence.kept",
        actor=actor,
        subject=f"file:{added[0]}",
        body={"of": evidence.subject, "bytes": evidence.size, "sha256": evidence.sha256, "sm3": evidence.sm3},
    )
    return int(added[0])


def list_evidence(connection: sa.Connection, subjects: Sequence[str]) -> list[StoredFile]:
    """What is stored of some subjects, oldest first."""
    f = files.c
    columns = (f.id, f.subject, f.name, f.bytes, f.sha256, f.sm3, f.at, f.actor)
    found: list[StoredFile] = []
    for begin in range(0, len(subjects), 500):
        chosen = sa.select(*columns).where(f.subject.in_(subjects[begin : begin + 500])).order_by(f.subject, f.id)
        found += [StoredFile(*row) for row in connection.execute(chosen)]
    return found


def open_evidence(connection: sa.Connection, bodies: Bodies, file_id: int) -> bytes:
    """The content of a stored piece of evidence.

    Raises:
        UsageError: there is none of that number.
        IntegrityError: what was stored is not what its digests say.
    """
    row = connection.execute(sa.select(files).where(files.c.id == file_id)).one_or_none()
    if row is None:
        raise UsageError(f"There is no evidence {file_id}.", cure="List what the ticket or duty has.")
    content = bodies.open(row.body, _context(row.subject, row.name, row.at, row.sha256))
    if (hashlib.sha256(content).hexdigest(), hashlib.new("sm3", content).hexdigest()) != (row.sha256, row.sm3):
        raise IntegrityError(f"The evidence {row.name} of {row.subject} was changed.", cure="Restore it from a backup.")
    return content


def _segments(connection: sa.Connection, source: str, partition: str, offset: int) -> list[dict[str, str]]:
    """The segments that may hold a record, by its place, each with the digest of its manifest."""
    p = segment_places.c
    rows = connection.execute(
        sa.select(segments.c.segment_id, segments.c.manifest)
        .join(segment_places, p.segment_id == segments.c.segment_id)
        .where(p.source == source, p.partition == partition, p.start <= offset, p.end > offset)
        .order_by(segments.c.segment_id)
        .limit(20)
    )
    return [{"segment": row.segment_id, "manifest_sha256": hashlib.sha256(row.manifest).hexdigest()} for row in rows]


def _context(subject: str, name: str, at: str, sha256: str) -> bytes:
    return f"evidence\x00{subject}\x00{name}\x00{at}\x00{sha256}".encode()
