# ruff: noqa: PLR0912, PLR1714, SIM109
# A compiled loop is one long function, and compares bytes one by one.
"""JSON strings in a buffer (RFC 8259, section 7), read, hashed or skipped by compiled loops.

Functions take positions in a buffer, the one after the opening quote to begin with, and return the position after what
they read, or the negative ``Code`` of what is wrong with it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipelines.compiled import kernel, wide
from pipelines.decode.cells import Bytes
from pipelines.decode.names import hash_byte
from pipelines.decode.reasons import Code

QUOTE: Final = 34
BACKSLASH: Final = 92

_TRUNCATED: Final = -int(Code.TRUNCATED)
_NOT_JSON: Final = -int(Code.NOT_JSON)
_SURROGATE: Final = -int(Code.LONE_SURROGATE)


@kernel
def _hex(byte: int) -> int:
    if 48 <= byte <= 57:
        return byte - 48
    low = byte | 32
    if 97 <= low <= 102:
        return low - 87
    return -1


@kernel
def _unit(buffer: Bytes, at: int, end: int) -> int:
    """The UTF-16 unit whose four hexadecimal digits stand at ``at``."""
    value = 0
    for i in range(4):
        if at + i >= end:
            return _TRUNCATED
        digit = _hex(wide(buffer[at + i]))
        if digit < 0:
            return _NOT_JSON
        value = value * 16 + digit
    return value


@kernel
def _escape(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """Code point of the escape whose backslash stands at ``at`` (or a negative code), and the position after it."""
    if at + 1 >= end:
        return _TRUNCATED, at
    byte = wide(buffer[at + 1])
    if byte == QUOTE or byte == BACKSLASH or byte == 47:
        return byte, at + 2
    if byte == 98:
        return 8, at + 2
    if byte == 102:
        return 12, at + 2
    if byte == 110:
        return 10, at + 2
    if byte == 114:
        return 13, at + 2
    if byte == 116:
        return 9, at + 2
    if byte != 117:
        return _NOT_JSON, at
    unit = _unit(buffer, at + 2, end)
    if unit < 0xD800 or unit > 0xDFFF:
        return unit, at + 6
    if unit >= 0xDC00:
        return _SURROGATE, at
    if at + 6 >= end:
        return _TRUNCATED, at
    if buffer[at + 6] != BACKSLASH or (at + 7 < end and buffer[at + 7] != 117):
        return _SURROGATE, at
    low = _unit(buffer, at + 8, end)
    if low < 0:
        return low, at
    if low < 0xDC00 or low > 0xDFFF:
        return _SURROGATE, at
    return 0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00), at + 12


@kernel
def _put(buffer: Bytes, at: int, point: int) -> int:
    """Write a code point in UTF-8, which is never longer than its escape."""
    if point < 0x80:
        buffer[at] = point
        return at + 1
    if point < 0x800:
        buffer[at] = 0xC0 | (point >> 6)
        buffer[at + 1] = 0x80 | (point & 63)
        return at + 2
    if point < 0x10000:
        buffer[at] = 0xE0 | (point >> 12)
        buffer[at + 1] = 0x80 | ((point >> 6) & 63)
        buffer[at + 2] = 0x80 | (point & 63)
        return at + 3
    buffer[at] = 0xF0 | (point >> 18)
    buffer[at + 1] = 0x80 | ((point >> 12) & 63)
    buffer[at + 2] = 0x80 | ((point >> 6) & 63)
    buffer[at + 3] = 0x80 | (point & 63)
    return at + 4


@kernel
def read_text(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """Read the string after the quote before ``at``, undoing its escapes in place: its end, the position after it."""
    while at < end:
        byte = buffer[at]
        if byte == QUOTE:
            return at, at + 1
        if byte < 32:
            return _NOT_JSON, at
        if byte == BACKSLASH:
            break
        at += 1
    to = at
    while at < end:
        byte = buffer[at]
        if byte == QUOTE:
            return to, at + 1
        if byte < 32:
            return _NOT_JSON, at
        if byte == BACKSLASH:
            point, at = _escape(buffer, at, end)
            if point < 0:
                return point, at
            to = _put(buffer, to, point)
        else:
            buffer[to] = byte
            to += 1
            at += 1
    return _TRUNCATED, at


@kernel
def hash_text(buffer: Bytes, at: int, end: int, state: np.uint64) -> tuple[int, np.uint64]:
    """Check a string without changing it; the position after it, and the hash of what it stands for."""
    scratch = np.empty(4, dtype=np.uint8)
    while at < end:
        byte = buffer[at]
        if byte == QUOTE:
            return at + 1, state
        if byte < 32:
            return _NOT_JSON, state
        if byte == BACKSLASH:
            point, at = _escape(buffer, at, end)
            if point < 0:
                return point, state
            for i in range(_put(scratch, 0, point)):
                state = hash_byte(state, wide(scratch[i]))
        else:
            state = hash_byte(state, wide(byte))
            at += 1
    return _TRUNCATED, state


@kernel
def skip_text(buffer: Bytes, at: int, end: int) -> int:
    """Check a string without changing it; the position after it."""
    while at < end:
        byte = buffer[at]
        if byte == QUOTE:
            return at + 1
        if byte < 32:
            return _NOT_JSON
        if byte == BACKSLASH:
            point, at = _escape(buffer, at, end)
            if point < 0:
                return point
        else:
            at += 1
    return _TRUNCATED
