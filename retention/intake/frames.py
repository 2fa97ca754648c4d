"""Frames of the journal: what one request handed over, sealed, with what makes a repeated request known.

A frame is a header of 104 bytes and the sealed lines::

    "LCJ1" | sealed bytes u32 | start u64 | bytes u32 | lines u32 | received u64 | key 32 | digest 32 | CRC-32 | 0 u32

``start`` counts the lines' own bytes from the beginning of the file, so that places in the archive do not depend on
this format; ``received`` is in microseconds since 1970. ``key`` is a keyed hash of the idempotency key (zeros: none),
``digest`` one of the lines. Header and file name are the context of the sealing: a frame opens in its place only.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final, Protocol

from retention.errors import AuthenticationError

MAGIC: Final = b"LCJ1"
_BODY: Final = struct.Struct(">4sIQIIQ32s32s")
_TAIL: Final = struct.Struct(">II")
HEADER_BYTES: Final = _BODY.size + _TAIL.size
NO_KEY: Final = bytes(32)
MOST_BYTES: Final = 64 << 20


class Cipher(Protocol):
    """What seals frames (``BodyCipher``)."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Seal a value, bound to where it stands."""
        ...

    def open(self, blob: bytes, context: bytes) -> bytes:
        """The value; raises ``AuthenticationError``."""
        ...

    def blind(self, value: str, purpose: str) -> str:
        """A keyed hash, 64 hex digits."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """The header of a frame; ``size`` are the bytes of its lines, ``sealed`` those that follow in the file."""

    start: int
    size: int
    lines: int
    received: int
    key: bytes
    digest: bytes
    sealed: int = 0

    @property
    def end(self) -> int:
        """Where its lines end."""
        return self.start + self.size

    @property
    def length(self) -> int:
        """Bytes in the file."""
        return HEADER_BYTES + self.sealed

    def packed(self) -> bytes:
        """The header as it is stored."""
        body = _BODY.pack(MAGIC, self.sealed, self.start, self.size, self.lines, self.received, self.key, self.digest)
        return body + _TAIL.pack(zlib.crc32(body), 0)


def parsed(header: bytes) -> Frame | None:
    """A frame's header, None where none stands (torn, damaged, or not written yet)."""
    if len(header) < HEADER_BYTES or header[:4] != MAGIC:
        return None
    body = header[: _BODY.size]
    crc, _ = _TAIL.unpack(header[_BODY.size : HEADER_BYTES])
    _, sealed, start, size, lines, received, key, digest = _BODY.unpack(body)
    if crc != zlib.crc32(body) or size > MOST_BYTES or sealed > 2 * MOST_BYTES:
        return None
    return Frame(start, size, lines, received, key, digest, sealed)


def seal(cipher: Cipher, file: str, frame: Frame, lines: bytes) -> tuple[Frame, bytes]:
    """A frame of the file with this name, complete: its header and all its bytes."""
    sealed = cipher.seal(lines, _context(file, frame))
    whole = Frame(frame.start, frame.size, frame.lines, frame.received, frame.key, frame.digest, len(sealed))
    return whole, whole.packed() + sealed


def open_(cipher: Cipher, file: str, frame: Frame, sealed: bytes) -> bytes:
    """The lines of a frame.

    Raises:
        AuthenticationError: changed, cut, or of another place.
    """
    lines = cipher.open(sealed, _context(file, frame))
    if len(lines) != frame.size:
        raise AuthenticationError("A frame of the journal has another length than it says.", cure="It was changed.")
    return lines


def _context(file: str, frame: Frame) -> bytes:
    bare = Frame(frame.start, frame.size, frame.lines, frame.received, frame.key, frame.digest)
    return b"liucun/intake/v1\x00" + file.encode("ascii") + b"\x00" + bare.packed()
