"""Reads a file's (uncompressed) bytes by offset: plain files directly, gzip by going through it in order."""

from __future__ import annotations

import os
import struct
import zlib
from typing import Final, Protocol

_STEP: Final = 1 << 20
_GZIP: Final = 16 + zlib.MAX_WBITS


class UnreadableError(Exception):
    """The file cannot be read (any more); the message says why, for a person."""


class Reader(Protocol):
    """Bytes by offset. ``problem`` says in words what is wrong with what was read so far.

    ``damaged``: there is something in it that is not what its name says.
    """

    problem: str | None
    damaged: bool

    def read(self, start: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``start``; fewer only at the (present) end."""
        ...

    def length(self) -> int:
        """Bytes there are at present: exact for plain files, an estimate for compressed ones."""
        ...

    def links(self) -> int:
        """How many names the open file has; 0 when it was deleted."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


def open_reader(path: str) -> Reader:
    """Open a file for reading.

    Raises:
        UnreadableError: it cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnreadableError(error.strerror or "it cannot be opened") from error
    return GzipReader(handle) if path.endswith(".gz") else PlainReader(handle)


class PlainReader:
    """An open plain file; it stays readable when its name goes away."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.problem: str | None = None
        self.damaged = False

    def read(self, start: int, size: int) -> bytes:
        """See ``Reader``."""
        parts: list[bytes] = []
        try:
            while size > 0:
                part = os.pread(self._handle, size, start)
                if not part:
                    break
                parts.append(part)
                start, size = start + len(part), size - len(part)
        except OSError as error:
            raise UnreadableError(error.strerror or "it cannot be read") from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def length(self) -> int:
        """See ``Reader``."""
        return os.fstat(self._handle).st_size

    def links(self) -> int:
        """See ``Reader``."""
        return os.fstat(self._handle).st_nlink

    def close(self) -> None:
        """See ``Reader``."""
        os.close(self._handle)


class GzipReader:
    """An open gzip file of one or more members (RFC 1952). Going back means beginning anew.

    A truncated or damaged file gives all bytes up to the damage, and ``problem`` says so.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.problem: str | None = None
        self._rewind()

    def read(self, start: int, size: int) -> bytes:
        """See ``Reader``."""
        if start < self._position:
            self._rewind()
        while self._position < start and self._fill():
            drop = min(start - self._position, len(self._ready))
            del self._ready[:drop]
            self._position += drop
        while len(self._ready) < size and self._fill(more=True):
            pass
        if self._position != start:
            return b""
        found = bytes(self._ready[:size])
        del self._ready[: len(found)]
        self._position += len(found)
        return found

    def length(self) -> int:
        """What the last member's trailer says (modulo 4 GiB), at least what was read."""
        stored = os.fstat(self._handle).st_size
        if stored < 18:
            return self._position
        (size,) = struct.unpack("<I", os.pread(self._handle, 4, stored - 4))
        return max(int(size), self._position)

    def links(self) -> int:
        """See ``Reader``."""
        return os.fstat(self._handle).st_nlink

    def close(self) -> None:
        """See ``Reader``."""
        os.close(self._handle)

    def _rewind(self) -> None:
        self._stored = 0
        self._position = 0
        self._ready = bytearray()
        self._member = zlib.decompressobj(_GZIP)
        self._pending = b""
        self._ended = False
        self.damaged = False
        self.problem = None

    def _fill(self, *, more: bool = False) -> bool:
        """Make bytes ready; False at the end. Without ``more`` it does nothing while some are ready."""
        if self._ready and not more:
            return True
        while not (self._ended or self.damaged):
            if not self._pending:
                try:
                    self._pending = os.pread(self._handle, _STEP, self._stored)
                except OSError as error:
                    raise UnreadableError(error.strerror or "it cannot be read") from error
                self._stored += len(self._pending)
            if not self._pending:
                self._at_end()
                return False
            if made := self._inflate():
                self._ready += made
                return True
        return False

    def _inflate(self) -> bytes:
        if self._member.eof:
            # Zeros may pad the end of a file (tapes, preallocation); anything else begins another member.
            self._pending = self._pending.lstrip(b"\0")
            if not self._pending:
                return b""
            self._member = zlib.decompressobj(_GZIP)
        try:
            made = self._member.decompress(self._pending, _STEP)
        except zlib.error:
            self.damaged = True
            self.problem = "its gzip data is damaged; everything before the damage was read"
            return b""
        self._pending = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        return made

    def _at_end(self) -> None:
        if not self._member.eof and self._stored:
            # Flush what zlib still holds of a member that was cut off.
            self._ready += self._member.flush()
            self._ended = True
            self.problem = "its gzip data ends too early; everything there was read"
        elif not self._stored:
            self.problem = "it is empty, not even a gzip header"
