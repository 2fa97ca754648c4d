"""Random access into a sealed container: a seekable file that fetches and opens only the chunks it is asked for."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from retention.container import (
    HEADER_LIMIT,
    PAYLOAD_OVERHEAD,
    SALT_BYTES,
    Binding,
    Header,
    open_data_key,
    payload_keys,
    plaintext_bytes,
)
from retention.crypto.ciphers import CHUNK_BYTES, SEALED_CHUNK_BYTES, TagError
from retention.errors import ChunkRefusedError, HeaderError, SegmentMismatchError, TruncatedError
from retention.keys.memory import PeriodKey
from retention.objects.base import ObjectStore

_KEPT_CHUNKS: Final = 8
_TAIL_CHUNKS: Final = 4
_WINDOW_CHUNKS: Final = 256
LOCAL_GAP_BYTES: Final = 256 << 10
"""Bytes that are rather read and thrown away than reached by another read; a store far away says more."""


class ContainerReader(io.RawIOBase):
    """The plaintext of a container as a read-only file.

    Opening authenticates the header, the key commitment and the last chunk, so that a cut
    container is refused before anything is handed out. ``chunks_opened`` and ``object_reads``
    count work done.

    Args:
        objects: where the container lies.
        name: its object name.
        period_key: finds a period key by its id, e.g. ``PeriodKeys.get``.
        expected: what the segment must be; another one is refused.
        size: how long the object must be, None to ask the store.

    Raises:
        HeaderError, TruncatedError, ChunkRefusedError, SegmentMismatchError: it is not intact, or not the one.
        KeyAccessError: its key is missing or destroyed.
        StorageError: the object is missing or cannot be read.
    """

    def __init__(
        self,
        objects: ObjectStore,
        name: str,
        period_key: Callable[[str], PeriodKey],
        *,
        expected: Binding | None = None,
        size: int | None = None,
    ) -> None:
        super().__init__()
        self._objects = objects
        self._name = name
        self.segment = expected.segment_id if expected else name
        self.chunks_opened = 0
        self.object_reads = 0
        self._position = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.RLock()
        self._gap = int(getattr(objects, "gap_bytes", LOCAL_GAP_BYTES)) // SEALED_CHUNK_BYTES

        stored = objects.size(name)
        if size is not None and stored != size:
            raise TruncatedError(
                f"Segment {self.segment} has {stored} bytes; its manifest says {size}.",
                cure="Restore the object from a backup or a replica.",
                segment=self.segment,
            )
        head = self._read_object(0, HEADER_LIMIT + PAYLOAD_OVERHEAD)
        self.header = Header.parse(head, self.segment)
        if expected is not None and self.header.binding != expected:
            raise SegmentMismatchError(
                f"The object {name!r} holds segment {self.header.binding.segment_id}, not {expected.segment_id}.",
                cure="Objects were swapped: restore both from a backup, and find out who moved them.",
                segment=self.segment,
            )
        self.suite, data_key = open_data_key(self.header, period_key, self.segment)
        self._start = self.header.length + PAYLOAD_OVERHEAD
        self.size = plaintext_bytes(stored - self.header.length, self.segment)
        self._stored = stored
        lead = head[self.header.length : self._start]
        self._keys = payload_keys(self.suite, data_key, lead[:SALT_BYTES], self.header.bound, self.header.binding)
        if lead[SALT_BYTES:] != self._keys.commitment:
            raise HeaderError(
                f"The key commitment of segment {self.segment} does not fit.",
                cure="Restore the object from a backup or a replica.",
                segment=self.segment,
            )
        self.chunks = self.size // CHUNK_BYTES + 1
        # Parquet readers begin at the end, so a few chunks before the last come along.
        self._keep(max(0, self.chunks - _TAIL_CHUNKS), self.chunks)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Position in the plaintext."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place in the plaintext; past the end is allowed and reads as empty."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError("a place before the beginning")
        self._position = start + offset
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes from the position (all that is left for -1).

        Raises:
            ChunkRefusedError: a chunk does not authenticate; nothing of the read is handed out.
        """
        return bytes(self.read_buffer(size))

    def read_buffer(self, size: int | None = -1, /) -> memoryview:
        """As ``read``, without a copy; Arrow takes this where it can."""
        with self._lock:
            start = min(self._position, self.size)
            end = self.size if size is None or size < 0 else min(start + size, self.size)
            data = self.read_at(start, end - start)
            self._position += len(data)
            return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer from the position and return how many bytes came."""
        data = self.read_buffer(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """All that is left."""
        return self.read(-1)

    def read_at(self, start: int, length: int) -> memoryview:
        """Bytes [start, start + length) of the plaintext, cut at its end; the position stays."""
        end = min(start + length, self.size)
        if start >= end:
            return memoryview(b"")
        first, stop = start // CHUNK_BYTES, (end - 1) // CHUNK_BYTES + 1
        with self._lock:
            whole = self._chunks(first, stop)
        offset = start - first * CHUNK_BYTES
        return memoryview(whole)[offset : offset + end - start].toreadonly()

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Many ranges (start, length) at once: each chunk is opened once, and neighbours are fetched together.

        Raises:
            ChunkRefusedError: a chunk does not authenticate; nothing of the read is handed out.
            ValueError: a range is not within the plaintext.
        """
        if any(start < 0 or length < 0 or start + length > self.size for start, length in ranges):
            raise ValueError("a range outside of the plaintext")
        wanted = sorted(
            {
                number
                for start, length in ranges
                if length
                for number in range(start // CHUNK_BYTES, (start + length - 1) // CHUNK_BYTES + 1)
            }
        )
        with self._lock:
            held = {number: memoryview(self._kept[number]) for number in wanted if number in self._kept}
            fetched: list[int] = []
            for number in [*(n for n in wanted if n not in held), None]:
                if fetched and (number is None or number - fetched[-1] > 1 + self._gap):
                    self._fetch(fetched, held)
                    fetched = []
                if number is not None:
                    fetched.append(number)
        return [_joined(held, start, length) for start, length in ranges]

    def windows(self) -> Iterator[tuple[memoryview, memoryview]]:
        """The whole object, sealed and opened, piece by piece: (sealed bytes, their plaintext).

        The first piece is what stands before the chunks, with an empty plaintext.
        """
        yield memoryview(self._read_object(0, self._start)), memoryview(b"")
        for first in range(0, self.chunks, _WINDOW_CHUNKS):
            stop = min(first + _WINDOW_CHUNKS, self.chunks)
            sealed = self._sealed(first, stop)
            opened = memoryview(bytearray(self._extent(first, stop)))
            self._open(first, stop, sealed, opened)
            yield memoryview(sealed), opened

    @property
    def digest_salt(self) -> bytes:
        """The salt of the plaintext's digest, known only to who can open the segment."""
        return self._keys.digest_salt

    @property
    def row_key(self) -> bytes:
        """The key of the salts of the segment's rows (``row_proofs``), known only to who can open the segment."""
        return self._keys.row_key

    def _fetch(self, numbers: Sequence[int], held: dict[int, memoryview]) -> None:
        """Open chunks that lie near each other, in one read of the object."""
        first, stop = numbers[0], numbers[-1] + 1
        sealed = memoryview(self._sealed(first, stop))
        begin = 0
        while begin < len(numbers):
            end = begin + 1
            while end < len(numbers) and numbers[end] == numbers[end - 1] + 1:
                end += 1
            low, high = numbers[begin], numbers[end - 1] + 1
            opened = memoryview(bytearray(self._extent(low, high)))
            piece = sealed[(low - first) * SEALED_CHUNK_BYTES : (high - first) * SEALED_CHUNK_BYTES]
            self._open(low, high, piece, opened)
            for number in range(low, high):
                at = (number - low) * CHUNK_BYTES
                held[number] = opened[at : at + CHUNK_BYTES]
            begin = end

    def _chunks(self, first: int, stop: int) -> bytearray:
        """Plaintext of chunks [first, stop): kept ones at both ends are used, the rest is one object read."""
        out = bytearray(self._extent(first, stop))
        target = memoryview(out)
        begin, end = first, stop
        while begin < end and begin in self._kept:
            self._recall(begin, target, first)
            begin += 1
        while begin < end and end - 1 in self._kept:
            end -= 1
            self._recall(end, target, first)
        if begin < end:
            at = (begin - first) * CHUNK_BYTES
            opened = target[at : at + self._extent(begin, end)]
            self._open(begin, end, self._sealed(begin, end), opened)
            # The neighbours of the next read are the ends of this one.
            self._remember(begin, opened[:CHUNK_BYTES])
            self._remember(end - 1, opened[(end - 1 - begin) * CHUNK_BYTES :])
        return out

    def _keep(self, first: int, stop: int) -> None:
        opened = memoryview(bytearray(self._extent(first, stop)))
        self._open(first, stop, self._sealed(first, stop), opened)
        for number in range(first, stop):
            at = (number - first) * CHUNK_BYTES
            self._remember(number, opened[at : at + CHUNK_BYTES])

    def _extent(self, first: int, stop: int) -> int:
        """Plaintext bytes of chunks [first, stop)."""
        return min(stop * CHUNK_BYTES, self.size) - first * CHUNK_BYTES

    def _open(self, first: int, stop: int, sealed: bytes | memoryview, out: memoryview) -> None:
        try:
            self._keys.cipher.open_chunks(self._keys.base_nonce, first, sealed, out)
        except TagError as error:
            chunk = first + error.index
            raise ChunkRefusedError(
                f"Chunk {chunk} of segment {self.segment} does not authenticate.",
                cure="Restore the object from a backup or a replica.",
                segment=self.segment,
                chunk=chunk,
            ) from None
        self.chunks_opened += stop - first

    def _sealed(self, first: int, stop: int) -> bytes:
        start = self._start + first * SEALED_CHUNK_BYTES
        end = min(self._start + stop * SEALED_CHUNK_BYTES, self._stored)
        data = self._read_object(start, end)
        if len(data) != end - start:
            raise TruncatedError(
                f"Segment {self.segment} was cut while it was read.",
                cure="Restore the object from a backup or a replica.",
                segment=self.segment,
                chunk=first + len(data) // SEALED_CHUNK_BYTES,
            )
        return data

    def _read_object(self, start: int, end: int) -> bytes:
        self.object_reads += 1
        return self._objects.read(self._name, start, end)

    def _recall(self, number: int, target: memoryview, first: int) -> None:
        kept = self._kept[number]
        self._kept.move_to_end(number)
        at = (number - first) * CHUNK_BYTES
        target[at : at + len(kept)] = kept

    def _remember(self, number: int, plaintext: memoryview) -> None:
        self._kept[number] = bytes(plaintext)
        self._kept.move_to_end(number)
        if len(self._kept) > _KEPT_CHUNKS:
            self._kept.popitem(last=False)


def _joined(held: Mapping[int, memoryview], start: int, length: int) -> memoryview:
    """Bytes [start, start + length) out of opened chunks."""
    if not length:
        return memoryview(b"")
    first, last = start // CHUNK_BYTES, (start + length - 1) // CHUNK_BYTES
    if first == last:
        at = start - first * CHUNK_BYTES
        return held[first][at : at + length]
    whole = b"".join(held[number] for number in range(first, last + 1))
    at = start - first * CHUNK_BYTES
    return memoryview(whole)[at : at + length]
