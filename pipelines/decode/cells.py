"""Values of fields as ranges of a buffer, before they become columns.

Every format leaves its fields as ranges of one working copy of the bytes, where escapes were already undone in place;
columns are then gathered in single passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.compiled import copy_bytes, kernel, wide

Bytes = NDArray[np.uint8]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Kind(IntEnum):
    """What stands in a range."""

    ABSENT = 0
    TEXT = 1
    NUMBER = 2
    LITERAL = 3
    NESTED = 4
    NULL = 5


@dataclass(slots=True)
class Work:
    """A working copy of a batch's bytes, which formats change in place.

    ``buffer`` holds names that ranges may point to, then from ``shift`` the bytes of ``source``, then from ``size``
    room for composed names.
    """

    buffer: Bytes
    source: Bytes
    shift: int

    @classmethod
    def of(cls, source: Bytes, names: bytes) -> Work:
        """Copy ``source`` behind ``names``."""
        shift = len(names)
        buffer = np.empty(shift + len(source) + len(source) // 8 + 4096, dtype=np.uint8)
        buffer[:shift] = np.frombuffer(names, dtype=np.uint8)
        buffer[shift : shift + len(source)] = source
        return cls(buffer, source, shift)

    @property
    def size(self) -> int:
        """Where the room behind the bytes begins."""
        return self.shift + len(self.source)

    def grow(self) -> None:
        """Double the buffer."""
        self.buffer = np.concatenate((self.buffer, np.empty(len(self.buffer), dtype=np.uint8)))

    def restore(self, start: int, end: int) -> None:
        """Undo what was changed in a range of the bytes."""
        self.buffer[start:end] = self.source[start - self.shift : end - self.shift]


@dataclass(slots=True)
class Extras:
    """Fields without a column, in the order of their rows: row, range of the name, range of the value, kind."""

    row: Int32s
    key_start: Int32s
    key_end: Int32s
    start: Int32s
    end: Int32s
    kind: Bytes

    @classmethod
    def room(cls, size: int) -> Extras:
        """Room for ``size`` fields."""
        row, key_start, key_end, start, end = (np.empty(size, dtype=np.int32) for _ in range(5))
        return cls(row, key_start, key_end, start, end, np.empty(size, dtype=np.uint8))

    def resized(self, count: int, size: int) -> Extras:
        """The first ``count`` fields, with room for ``size``."""
        new = Extras.room(size)
        for name in self.__slots__:
            getattr(new, name)[:count] = getattr(self, name)[:count]
        return new

    def joined(self, other: Extras) -> Extras:
        """Both sets of fields, ordered by row, those of ``self`` first."""
        order = np.argsort(np.concatenate((self.row, other.row)), kind="stable")
        new = Extras.room(0)
        for name in self.__slots__:
            setattr(new, name, np.concatenate((getattr(self, name), getattr(other, name)))[order])
        return new

    def __len__(self) -> int:
        return len(self.row)


@dataclass(slots=True)
class Cells:
    """What a format read from a batch of ``n`` framed records.

    ``codes`` (n,) hold each record's reason (``Code``), 0 for the readable ones; ``rows`` (r,) are the indices of
    these. ``starts``, ``ends``, ``kinds`` (slots, >= r) give the slots' ranges of ``buffer``; where the kind is
    ABSENT the range is undefined.
    """

    buffer: Bytes
    codes: Bytes
    rows: Int64s
    starts: Int32s
    ends: Int32s
    kinds: Bytes
    extras: Extras


def empty_grid(slots: int, rows: int) -> tuple[Int32s, Int32s, Bytes]:
    """Starts, ends and kinds of all slots; memory of a slot nobody writes to is never touched."""
    shape = (slots, max(rows, 1))
    return np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.int32), np.zeros(shape, dtype=np.uint8)


def gather_text(buffer: Bytes, starts: Int32s, ends: Int32s, valid: Bools | None = None) -> pa.StringArray:
    """Copy ranges of valid UTF-8 into a string column; null where ``valid`` is false."""
    return _gather(buffer, starts, ends, valid, pa.string())


def gather_binary(buffer: Bytes, starts: Int64s, ends: Int64s) -> pa.BinaryArray:
    """Copy ranges of bytes into a binary column."""
    return _gather(buffer, starts, ends, None, pa.binary())


def _gather(
    buffer: Bytes,
    starts: NDArray[np.signedinteger],
    ends: NDArray[np.signedinteger],
    valid: Bools | None,
    kind: pa.DataType,
) -> pa.Array:
    chosen = np.ones(0, dtype=np.bool_) if valid is None else valid
    offsets = np.empty(len(starts) + 1, dtype=np.int32)
    size, nulls = _measure(starts, ends, chosen, offsets)
    out = np.empty(size, dtype=np.uint8)
    _copy(buffer, starts, offsets, out)
    validity = pa.py_buffer(np.packbits(chosen, bitorder="little")) if nulls else None
    return pa.Array.from_buffers(kind, len(starts), [validity, pa.py_buffer(offsets), pa.py_buffer(out)], nulls)


@kernel
def _measure(
    starts: NDArray[np.signedinteger], ends: NDArray[np.signedinteger], valid: Bools, offsets: Int32s
) -> tuple[int, int]:
    size = 0
    nulls = 0
    offsets[0] = 0
    for i in range(len(starts)):
        if len(valid) and not valid[i]:
            nulls += 1
        else:
            size += ends[i] - starts[i]
        offsets[i + 1] = size
    return size, nulls


@kernel
def _copy(buffer: Bytes, starts: NDArray[np.signedinteger], offsets: Int32s, out: Bytes) -> None:
    for i in range(len(starts)):
        to = wide(offsets[i])
        copy_bytes(out, to, buffer, wide(starts[i]), wide(offsets[i + 1]) - to)
