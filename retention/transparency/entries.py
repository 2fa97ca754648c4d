"""Entries of the transparency log, and the sealed objects that keep them.

An entry is canonical JSON (RFC 8785): what kind of thing, its id, and a digest of it in the archive's hash::

    {"digest": H(manifest), "id": segment id, "type": "segment"}
    {"digest": H(salt || event), "id": event number, "type": "event"}

The 16-byte salt lies with the event in the sealed object and in the catalogue, so that the log itself gives
nothing of an event away. Objects hold JSON lines, compressed by zstd and sealed under the key of
``system:log`` and the month; the format is written down in docs/archive-format.md.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pyarrow as pa

from retention.catalogue.events import EVENT, SEGMENT
from retention.crypto import envelope
from retention.crypto.suites import NAMES, Suite
from retention.crypto.suites import suite as suite_named
from retention.errors import AuthenticationError, EntryObjectError
from retention.keys.periods import PeriodKeys

SALT_BYTES: Final = 16
PREFIX: Final = "log/entries/"
SUFFIX: Final = ".lce"
KEY_CLASS: Final = "system:log"
MAX_PLAINTEXT: Final = 1 << 30
"""Longest plaintext of an entry object in bytes."""

_MAGIC: Final = b"LCE\x01"
_NAME: Final = re.compile(rf"{PREFIX}([0-9]{{12}})-([0-9]{{12}})-[0-9a-f]{{16}}\{SUFFIX}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that the log commits to, with all that is needed to check and to restore it.

    ``content`` is a manifest's bytes or an event's canonical bytes. ``salt`` and ``payload`` (images of rows as
    JSON) are an event's.
    """

    type: str
    ref: str
    content: bytes
    salt: bytes = b""
    payload: bytes | None = None

    def data(self, suite: Suite) -> bytes:
        """The log's entry: what the leaf hash is taken over."""
        return entry_data(suite, self.type, self.ref, self.content, self.salt)

    def to_line(self) -> bytes:
        """The entry as a line of an entry object."""
        line: dict[str, Any] = {"type": self.type, "ref": self.ref, "content": self.content.decode("utf-8")}
        if self.type == EVENT:
            line["salt"] = self.salt.hex()
            line["payload"] = None if self.payload is None else self.payload.decode("utf-8")
        return orjson.dumps(line, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_line(cls, line: bytes) -> Entry:
        """Read a line back.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is no entry.
        """
        parsed = orjson.loads(line)
        if parsed["type"] not in {SEGMENT, EVENT}:
            raise ValueError("unknown type of entry")
        payload = parsed.get("payload")
        return cls(
            type=parsed["type"],
            ref=parsed["ref"],
            content=parsed["content"].encode("utf-8"),
            salt=bytes.fromhex(parsed.get("salt", "")),
            payload=None if payload is None else payload.encode("utf-8"),
        )


def entry_data(suite: Suite, kind: str, ref: str, content: bytes, salt: bytes = b"") -> bytes:
    """The canonical bytes of an entry."""
    digest = suite.hash(salt, content).hex()
    return orjson.dumps({"digest": digest, "id": ref, "type": kind}, option=orjson.OPT_SORT_KEYS)


def event_content(
    *, number: int, at: str, kind: str, actor: str, subject: str, body: str, images: list[list[str]] | None
) -> bytes:
    """An event's canonical bytes. ``images`` are [table, shape, salted digest of its rows] each, in order."""
    return orjson.dumps(
        {
            "actor": actor,
            "at": at,
            "body": body,
            "id": number,
            "images": images,
            "kind": kind,
            "subject": subject,
        },
        option=orjson.OPT_SORT_KEYS,
    )


def object_name(start: int, end: int) -> str:
    """A fresh name for the object of the entries [start, end)."""
    return f"{PREFIX}{start:012d}-{end:012d}-{secrets.token_hex(8)}{SUFFIX}"


def range_of(name: str) -> tuple[int, int] | None:
    """The entries that an object's name says it holds, None if it is no such name."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def seal_entries(
    suite: Suite, keys: PeriodKeys, origin: str, start: int, entries: Sequence[Entry], *, month: str
) -> bytes:
    """The bytes of an entry object, sealed under the key of ``month``."""
    plaintext = b"".join(entry.to_line() + b"\n" for entry in entries)
    key = keys.current(KEY_CLASS, month)
    name, key_id = suite.name.encode("ascii"), key.key_id.encode("ascii")
    packed = pa.Codec("zstd").compress(plaintext, asbytes=True)
    head = b"".join((_MAGIC, bytes([len(name)]), name, bytes([len(key_id)]), key_id, len(plaintext).to_bytes(8, "big")))
    context = _context(head, origin, start, start + len(entries))
    return head + envelope.seal(suite, key.key, packed, purpose="log-entries", context=context)


def open_entries(keys: PeriodKeys, origin: str, name: str, data: bytes) -> list[Entry]:
    """The entries of an object.

    Raises:
        EntryObjectError: it is damaged, cut, of another log, or not what its name says.
        KeyAccessError: its key is missing or destroyed.
    """
    where = range_of(name)
    if where is None:
        raise _refused(name, "its name is not that of an entry object")
    try:
        suite, key_id, size, length = _head(data)
        context = _context(data[:length], origin, *where)
        packed = envelope.open_(suite, keys.get(key_id).key, data[length:], purpose="log-entries", context=context)
        plaintext = pa.Codec("zstd").decompress(packed, decompressed_size=size, asbytes=True)
        found = [Entry.from_line(line) for line in plaintext.splitlines()]
    except AuthenticationError as error:
        raise _refused(name, "it does not authenticate") from error
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise _refused(name, "it is malformed") from error
    if len(found) != where[1] - where[0]:
        raise _refused(name, f"it holds {len(found)} entries")
    return found


def segments_in(entries: Iterable[Entry]) -> list[Entry]:
    """The manifests among entries."""
    return [entry for entry in entries if entry.type == SEGMENT]


def _head(data: bytes) -> tuple[Suite, str, int, int]:
    if data[:4] != _MAGIC:
        raise ValueError("no entry object")
    first = 5 + data[4]
    second = first + 1 + data[first]
    name, key_id = data[5:first].decode("ascii"), data[first + 1 : second].decode("ascii")
    size = int.from_bytes(data[second : second + 8], "big")
    if name not in NAMES or size > MAX_PLAINTEXT or len(data) < second + 8:
        raise ValueError("head out of bounds")
    return suite_named(name), key_id, size, second + 8


def _context(head: bytes, origin: str, start: int, end: int) -> bytes:
    return b"\x00".join((b"liucun/log-entries/v1", head, origin.encode("utf-8"), f"{start}-{end}".encode("ascii")))


def _refused(name: str, what: str) -> EntryObjectError:
    return EntryObjectError(
        f"The log's object {name!r} was refused: {what}.",
        cure="Restore it from a backup; `liucun audit integrity` says what else is damaged.",
    )
