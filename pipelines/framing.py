# ruff: noqa: PLR0912, PLR0915
# A compiled loop is one long function, and compares bytes one by one.
"""Finds the borders of records in a buffer of a source's bytes.

A record is a line, ended by LF or CR LF; in CSV it may hold line breaks inside quotes (RFC 4180). The borders depend on
nothing but the bytes from a record's start on, so that a source may be cut at any border and framed in parts:

- A CSV record holds line breaks only if its quoting is well formed up to its end, and if it has at most 1 MiB and 1,000
  lines. Otherwise its first physical line is the record (``fallback``), and the next line starts afresh: one stray
  quote costs one line.
- A line without an end for 64 MiB is cut there, and again every 64 MiB; the pieces are ``oversized``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.compiled import kernel

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

_LF: Final = 10
_CR: Final = 13
_QUOTE: Final = 34
_BLOCK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes at which framing gives up: of a CSV record with line breaks, and of any record (bytes)."""

    quoted_bytes: int = 1 << 20
    quoted_lines: int = 1_000
    record_bytes: int = 64 << 20


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Frames:
    """Records of a buffer as half-open ranges of byte offsets.

    ``ends`` include the terminator, ``content_ends`` do not. ``fallback`` marks physical lines that stand for a CSV
    record which could not be framed; ``oversized`` the pieces of a record above the size limit, its last piece
    included. ``consumed`` counts the bytes framed, from the buffer's start.
    """

    starts: Int64s
    ends: Int64s
    content_ends: Int64s
    fallback: Bools
    oversized: Bools
    consumed: int

    def __len__(self) -> int:
        return len(self.starts)


def frame(data: bytes | memoryview, *, csv: bool, delimiter: str = ",", last: bool, limits: Limits = LIMITS) -> Frames:
    """Frame a buffer that begins at a record's start.

    Args:
        data: the bytes.
        csv: whether quotes may hold line breaks.
        delimiter: the CSV delimiter, one character.
        last: the buffer ends at a record border: the end of the source, or of a range that ``cut`` planned. An
            unterminated tail is then a record, and an open quote is broken. Otherwise an undecided tail is left.
        limits: sizes at which framing gives up.
    """
    buffer = np.frombuffer(data, dtype=np.uint8)
    if csv and _find(buffer, _QUOTE):
        mark = np.frombuffer(delimiter.encode(), dtype=np.uint8)
        ends, fallback, consumed = _quoted_ends(
            buffer, mark, last, limits.quoted_bytes, limits.quoted_lines, limits.record_bytes
        )
    else:
        ends, consumed = _line_ends(buffer, last, limits.record_bytes)
        fallback = np.zeros(len(ends), dtype=np.bool_)
    return _frames(buffer, ends, fallback, consumed, limits.record_bytes)


def frame_messages(data: bytes | memoryview, ends: Int64s, *, limits: Limits = LIMITS) -> Frames:
    """Frame a buffer of messages, each one record: a line break at its end is left out, others belong to it."""
    buffer = np.frombuffer(data, dtype=np.uint8)
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1]
    content_ends = ends.copy()
    ended = np.flatnonzero(ends > starts)
    for byte in (_LF, _CR):
        ended = ended[buffer[content_ends[ended] - 1] == byte]
        content_ends[ended] -= 1
        ended = ended[content_ends[ended] > starts[ended]]
    return Frames(
        starts, ends, content_ends, np.zeros(len(ends), np.bool_), ends - starts > limits.record_bytes, len(buffer)
    )


def without_end(record: bytes) -> bytes:
    """A record without the LF or CR LF that ends it."""
    return record.removesuffix(b"\n").removesuffix(b"\r") if record.endswith(b"\n") else record


def cut(data: bytes | memoryview, *, csv: bool, delimiter: str = ",", last: bool, limits: Limits = LIMITS) -> int:
    """Count the leading bytes that hold whole records only (see ``frame``, with which it agrees exactly)."""
    buffer = np.frombuffer(data, dtype=np.uint8)
    if last:
        return len(buffer)
    if csv and _find(buffer, _QUOTE):
        return frame(data, csv=True, delimiter=delimiter, last=False, limits=limits).consumed
    lines = _last_line_end(buffer)
    return lines + (len(buffer) - lines) // limits.record_bytes * limits.record_bytes


def _find(buffer: Bytes, byte: int) -> bool:
    return any(bool((buffer[at : at + _BLOCK] == byte).any()) for at in range(0, len(buffer), _BLOCK))


def _last_line_end(buffer: Bytes) -> int:
    for end in range(len(buffer), 0, -_BLOCK):
        start = max(0, end - _BLOCK)
        found = np.flatnonzero(buffer[start:end] == _LF)
        if len(found):
            return start + int(found[-1]) + 1
    return 0


def _line_ends(buffer: Bytes, last: bool, record_bytes: int) -> tuple[Int64s, int]:
    ends = np.flatnonzero(buffer == _LF).astype(np.int64) + 1
    lines = int(ends[-1]) if len(ends) else 0
    if len(buffer) > lines:
        ends = np.append(ends, len(buffer))
    lengths = np.diff(ends, prepend=0)
    if len(ends) and int(lengths.max()) > record_bytes:
        ends = _cut_long(ends, lengths, record_bytes)
    if not last and len(buffer) > lines and len(buffer) - (int(ends[-2]) if len(ends) > 1 else 0) < record_bytes:
        ends = ends[:-1]
    return ends, int(ends[-1]) if len(ends) else 0


def _cut_long(ends: Int64s, lengths: Int64s, record_bytes: int) -> Int64s:
    pieces = -(-lengths // record_bytes)
    number = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    starts = np.repeat(ends - lengths, pieces)
    return np.minimum(starts + (number + 1) * record_bytes, np.repeat(ends, pieces))


def _frames(buffer: Bytes, ends: Int64s, fallback: Bools, consumed: int, record_bytes: int) -> Frames:
    starts = np.empty_like(ends)
    if len(ends) == 0:
        return Frames(starts, ends, ends.copy(), fallback, fallback.copy(), consumed)
    starts[0] = 0
    starts[1:] = ends[:-1]
    closed = buffer[ends - 1] == _LF
    content_ends = ends - closed
    # The byte before LF; index -1 is harmless, `closed` and the comparison with the start guard it.
    content_ends -= closed & (content_ends > starts) & (buffer[content_ends - 1] == _CR)
    oversized = np.zeros(len(ends), dtype=np.bool_)
    oversized[1:] = ~closed[:-1]
    oversized |= ~closed & (ends - starts >= record_bytes)
    return Frames(starts, ends, content_ends, fallback, oversized, consumed)


@kernel
def _starts_with(buffer: Bytes, at: int, mark: Bytes) -> bool:
    if at + len(mark) > len(buffer):
        return False
    for i in range(len(mark)):  # noqa: SIM110 - compiled
        if buffer[at + i] != mark[i]:
            return False
    return True


@kernel
def _quoted_end(
    buffer: Bytes, start: int, mark: Bytes, last: bool, quoted_bytes: int, quoted_lines: int, record_bytes: int
) -> tuple[int, bool]:
    """End of the CSV record at ``start``, and whether it is a fallback; -1 if the buffer does not decide it."""
    size = len(buffer)
    at = start
    if at + 3 <= size and buffer[at] == 0xEF and buffer[at + 1] == 0xBB and buffer[at + 2] == 0xBF:
        at += 3
    line_end = -1  # end of the first physical line, once a quoted line break was met
    lines = 1
    field_start = True
    quoted = False
    stray = False
    while at < size:
        if line_end >= 0:
            if at - start >= quoted_bytes:
                return line_end, True
        elif at - start >= record_bytes:
            return start + record_bytes, quoted
        byte = buffer[at]
        if quoted:
            if byte == _LF:
                if line_end < 0:
                    line_end = at + 1
                lines += 1
                if stray or lines > quoted_lines or at + 1 - start > quoted_bytes:
                    return line_end, True
            elif byte == _QUOTE:
                if at + 1 >= size:
                    if not last:
                        return -1, False
                    at += 1
                    quoted = False
                    continue
                following = buffer[at + 1]
                if following == _QUOTE:
                    at += 2
                    continue
                quoted = False
                ended = (
                    following == _LF
                    or (following == _CR and (at + 2 >= size or buffer[at + 2] == _LF))
                    or _starts_with(buffer, at + 1, mark)
                )
                if following == _CR and at + 2 >= size and not last:
                    return -1, False
                if not ended:
                    if line_end >= 0:
                        return line_end, True
                    stray = True
            at += 1
            continue
        if byte == _LF:
            return at + 1, False
        if byte == _QUOTE:
            if field_start:
                quoted = True
            else:
                if line_end >= 0:
                    return line_end, True
                stray = True
            field_start = False
            at += 1
        elif _starts_with(buffer, at, mark):
            field_start = True
            at += len(mark)
        else:
            field_start = False
            at += 1
    if not last:
        if line_end < 0 and size - start >= record_bytes:
            return start + record_bytes, quoted
        return -1, False
    if line_end >= 0 and (quoted or size - start > quoted_bytes):
        return line_end, True
    if line_end < 0 and size - start > record_bytes:
        return start + record_bytes, quoted
    return size, quoted


@kernel
def _quoted_ends(
    buffer: Bytes, mark: Bytes, last: bool, quoted_bytes: int, quoted_lines: int, record_bytes: int
) -> tuple[Int64s, Bools, int]:
    ends = np.empty(1024, dtype=np.int64)
    fallback = np.zeros(1024, dtype=np.bool_)
    count = 0
    at = 0
    while at < len(buffer):
        end, broken = _quoted_end(buffer, at, mark, last, quoted_bytes, quoted_lines, record_bytes)
        if end < 0:
            break
        if count == len(ends):
            ends = np.concatenate((ends, np.empty(count, dtype=np.int64)))
            fallback = np.concatenate((fallback, np.zeros(count, dtype=np.bool_)))
        ends[count] = end
        fallback[count] = broken
        count += 1
        at = end
    return ends[:count].copy(), fallback[:count].copy(), at
