"""Evidence 证据 as the queue lists it: files of duties sealed here, and what ``sealing`` has put into the archive."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from errors import IntegrityError, UsageError
from retention.catalogue import events
from retention.catalogue.sets import among, insert_numbered
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies
from tickets.tables_work import files

MAX_FILE: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sealed piece of evidence that is ready to be stored; ``version`` is the ticket's when it was gathered.

    ``place`` is the partition and offset of its record in the archive; then ``sealed`` is empty.
    """

    subject: str
    name: str
    size: int
    sha256: str
    sm3: str
    sealed: bytes
    at: str
    version: int = 0
    user_id: str | None = None
    place: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored piece of evidence; its digests are those of the content, hexadecimal.

    ``place`` is its record's in the archive, as ``PARTITION@OFFSET``; None of what is kept in the database.
    """

    id: int
    subject: str
    name: str
    bytes: int
    sha256: str
    sm3: str
    at: str
    actor: str
    place: str | None = None


def seal_file(
    bodies: Bodies, subject: str, name: str, content: bytes, *, under: str | None = None, **more: Any
) -> Evidence:
    """Seal a file as evidence of a subject (``ticket:…``, ``duty:…``, ``report:…``), under a key if one is named.

    Raises:
        UsageError: it is empty, larger than 16 MiB, or its name is no name.
    """
    if not content or len(content) > MAX_FILE:
        raise UsageError(f"The file {name!r} is empty or larger than 16 MiB.", cure="Give a smaller file.")
    if not name.strip() or len(name) > 200 or "/" in name or "\x00" in name:
        raise UsageError("The name of the file is missing, too long or a path.", cure="Give a plain file name.")
    at = timestamp()
    digests = hashlib.sha256(content).hexdigest(), hashlib.new("sm3", content).hexdigest()
    sealed = bodies.seal(content, file_context(subject, name, at, digests[0]), under=under)
    return Evidence(subject, name, len(content), *digests, sealed, at, **more)


def add_evidence(connection: sa.Connection, evidence: Evidence, actor: str) -> int:
    """Store sealed evidence; returns its number."""
    return add_all(connection, [evidence], actor)[0]


def add_all(connection: sa.Connection, evidence: Sequence[Evidence], actor: str) -> list[int]:
    """Store many pieces of sealed evidence; returns their numbers in order."""
    rows = [
        {
            "subject": one.subject,
            "name": one.name,
            "bytes": one.size,
            "sha256": one.sha256,
            "sm3": one.sm3,
            "at": one.at,
            "actor": actor,
            "body": one.sealed,
            "place": None if one.place is None else f"{one.place[0]}@{one.place[1]}",
        }
        for one in evidence
    ]
    numbers = insert_numbered(connection, files, rows, "id")
    # An event of its own: it carries the sealed file into the log, once, and not with every step of the ticket.
    said = [
        (f"file:{number}", {"of": one.subject, "bytes": one.size, "sha256": one.sha256, "sm3": one.sm3})
        for number, one in zip(numbers, evidence, strict=True)
    ]
    events.append_many(connection, said, kind="evidence.kept", actor=actor)
    return numbers


def list_evidence(connection: sa.Connection, subjects: Sequence[str]) -> list[StoredFile]:
    """What is stored of some subjects, oldest first."""
    f = files.c
    columns = (f.id, f.subject, f.name, f.bytes, f.sha256, f.sm3, f.at, f.actor, f.place)
    found: list[StoredFile] = []
    for begin in range(0, len(subjects), 500):
        chosen = (
            sa.select(*columns)
            .where(among(connection, f.subject, subjects[begin : begin + 500]))
            .order_by(f.subject, f.id)
        )
        found += [StoredFile(*row) for row in connection.execute(chosen)]
    return found


def open_evidence(
    connection: sa.Connection,
    bodies: Bodies,
    file_id: int,
    *,
    archived: Callable[[str, int], bytes] | None = None,
) -> tuple[StoredFile, bytes]:
    """A stored piece of evidence and its content; ``archived`` reads what lies in the archive, by its place.

    Raises:
        UsageError: there is none of that number, or it is not there any more.
        IntegrityError: what was stored is not what its digests say.
    """
    row = connection.execute(sa.select(files).where(files.c.id == file_id)).one_or_none()
    if row is None or (row.place is not None and archived is None):
        raise UsageError(f"There is no evidence {file_id}.", cure="List what the ticket or duty has.")
    if row.place is None or archived is None:
        if not row.body:
            raise UsageError(
                f"The file {row.name} of {row.subject} was destroyed: its period was over.",
                cure="Its digests stay; the certificate of the purge proves it.",
            )
        content = bodies.open(row.body, file_context(row.subject, row.name, row.at, row.sha256))
    else:
        partition, _, offset = row.place.rpartition("@")
        content = archived(partition, int(offset))
    if (hashlib.sha256(content).hexdigest(), hashlib.new("sm3", content).hexdigest()) != (row.sha256, row.sm3):
        raise IntegrityError(f"The evidence {row.name} of {row.subject} was changed.", cure="Restore it from a backup.")
    stored = StoredFile(row.id, row.subject, row.name, row.bytes, row.sha256, row.sm3, row.at, row.actor, row.place)
    return stored, content


def file_context(subject: str, name: str, at: str, sha256: str) -> bytes:
    """What a file's body is bound to."""
    return f"evidence\x00{subject}\x00{name}\x00{at}\x00{sha256}".encode()
