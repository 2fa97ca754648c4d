# ruff: noqa: PLR0912, PLR0915, PLR1714, SIM109
# A compiled loop is one long function, and compares bytes one by one.
"""JSON values in a buffer (RFC 8259), checked and measured by compiled loops.

Functions take positions in a buffer and return the position after what they read, or the negative ``Code`` of what is
wrong with it. Nothing recurses: nesting is followed on a stack of fixed depth.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.compiled import kernel, wide
from pipelines.decode.cells import Bytes, Int64s
from pipelines.decode.names import hash_byte, home
from pipelines.decode.reasons import Code

MAX_DEPTH: Final = 512
MAX_KEYS: Final = 1 << 20

MORE_KEYS: Final = -103
"""Returned when the table of seen keys is full: give a larger one and read the record again."""

# Places in the array of counters that a loop shares with its caller.
SERIAL: Final = 4
"""Number of objects met, which tells the keys of one object from those of another."""
SPACED: Final = 5
"""Whether the last value skipped holds white space between its tokens."""
KEYS: Final = 6
"""Number of keys of the current record in the table of seen keys."""
RECORD: Final = 7
"""Stamp of the current record in that table."""

_TRUNCATED: Final = -int(Code.TRUNCATED)
_NOT_JSON: Final = -int(Code.NOT_JSON)
_SURROGATE: Final = -int(Code.LONE_SURROGATE)
_DEEP: Final = -int(Code.TOO_DEEP)
_DUPLICATE: Final = -int(Code.DUPLICATE_KEY)
_MANY: Final = -int(Code.TOO_MANY_FIELDS)

_VALUE, _AFTER, _FIRST_KEY, _KEY, _FIRST_ITEM = range(5)

QUOTE: Final = 34
BACKSLASH: Final = 92
BRACE: Final = 123
BRACKET: Final = 91
COLON: Final = 58
COMMA: Final = 44
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


@kernel
def skip_space(buffer: Bytes, at: int, end: int) -> int:
    """Position of the next byte that is not JSON white space."""
    while at < end and (buffer[at] == 32 or buffer[at] == 9 or buffer[at] == 13 or buffer[at] == 10):
        at += 1
    return at


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
def _hash_text(buffer: Bytes, at: int, end: int, state: np.uint64) -> tuple[int, np.uint64]:
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
def _skip_text(buffer: Bytes, at: int, end: int) -> int:
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


@kernel
def _digits(buffer: Bytes, at: int, end: int) -> int:
    start = at
    while at < end and 48 <= buffer[at] <= 57:
        at += 1
    if at > start:
        return at
    return _TRUNCATED if at >= end else _NOT_JSON


@kernel
def _number(buffer: Bytes, at: int, end: int) -> int:
    if buffer[at] == 45:
        at += 1
    if at < end and buffer[at] == 48:
        at += 1
    else:
        at = _digits(buffer, at, end)
        if at < 0:
            return at
    if at < end and buffer[at] == 46:
        at = _digits(buffer, at + 1, end)
        if at < 0:
            return at
    if at < end and (buffer[at] | 32) == 101:
        at += 1
        if at < end and (buffer[at] == 43 or buffer[at] == 45):
            at += 1
        at = _digits(buffer, at, end)
    return at


@kernel
def _word(buffer: Bytes, at: int, end: int, word: bytes) -> int:
    for i in range(len(word)):
        if at + i >= end:
            return _TRUNCATED
        if buffer[at + i] != word[i]:
            return _NOT_JSON
    return at + len(word)


@kernel
def skip_scalar(buffer: Bytes, at: int, end: int) -> int:
    """Check the number, ``true``, ``false`` or ``null`` at ``at``."""
    byte = buffer[at]
    if byte == 45 or 48 <= byte <= 57:
        return _number(buffer, at, end)
    if byte == 116:
        return _word(buffer, at, end, b"true")
    if byte == 102:
        return _word(buffer, at, end, b"false")
    if byte == 110:
        return _word(buffer, at, end, b"null")
    return _NOT_JSON


@kernel
def note_key(
    hashed: np.uint64, serial: int, seen_hash: NDArray[np.uint64], seen_stamp: Int64s, counters: Int64s
) -> int:
    """Remember a key of the object ``serial``; 0, or the code of what is wrong with it."""
    if counters[KEYS] >= MAX_KEYS:
        return _MANY
    if counters[KEYS] * 2 >= len(seen_hash):
        return MORE_KEYS
    own = hashed ^ (np.uint64(serial) * _MIX)
    at = home(own, len(seen_hash))
    while seen_stamp[at] == counters[RECORD]:
        if seen_hash[at] == own:
            return _DUPLICATE
        at = (at + 1) & (len(seen_hash) - 1)
    seen_stamp[at] = counters[RECORD]
    seen_hash[at] = own
    counters[KEYS] += 1
    return 0


@kernel
def skip_value(
    buffer: Bytes,
    at: int,
    end: int,
    stack: Int64s,
    seed: np.uint64,
    seen_hash: NDArray[np.uint64],
    seen_stamp: Int64s,
    counters: Int64s,
) -> int:
    """Check the value at ``at``, keys named twice at any level included, and leave it as it is.

    ``stack`` holds for each open container the serial number of an object, or 0 for an array.
    """
    depth = 0
    mode = _VALUE
    counters[SPACED] = 0
    while True:
        found = skip_space(buffer, at, end)
        if found > at:
            counters[SPACED] = 1
            at = found
        if at >= end:
            return _TRUNCATED
        byte = buffer[at]
        if mode == _VALUE or mode == _FIRST_ITEM:
            if byte == BRACE or byte == BRACKET:
                if depth >= MAX_DEPTH:
                    return _DEEP
                if byte == BRACE:
                    counters[SERIAL] += 1
                    stack[depth] = counters[SERIAL]
                    mode = _FIRST_KEY
                else:
                    stack[depth] = 0
                    mode = _FIRST_ITEM
                depth += 1
                at += 1
                continue
            if byte == 93 and mode == _FIRST_ITEM:
                depth -= 1
                at += 1
            elif byte == QUOTE:
                at = _skip_text(buffer, at + 1, end)
            else:
                at = skip_scalar(buffer, at, end)
            if at < 0:
                return at
            mode = _AFTER
        elif mode == _AFTER:
            inside = stack[depth - 1] > 0
            if byte == COMMA:
                mode = _KEY if inside else _VALUE
            elif byte == (125 if inside else 93):
                depth -= 1
            else:
                return _NOT_JSON
            at += 1
        elif byte == 125 and mode == _FIRST_KEY:
            depth -= 1
            at += 1
            mode = _AFTER
        else:
            if byte != QUOTE:
                return _NOT_JSON
            at, hashed = _hash_text(buffer, at + 1, end, seed)
            if at < 0:
                return at
            wrong = note_key(hashed, stack[depth - 1], seen_hash, seen_stamp, counters)
            if wrong < 0:
                return wrong
            found = skip_space(buffer, at, end)
            if found > at:
                counters[SPACED] = 1
                at = found
            if at >= end:
                return _TRUNCATED
            if buffer[at] != COLON:
                return _NOT_JSON
            at += 1
            mode = _VALUE
        if depth == 0 and mode == _AFTER:
            return at


@kernel
def compact(buffer: Bytes, start: int, end: int) -> int:
    """Take the white space between the tokens of a checked value out, in place; its new end."""
    to = start
    at = start
    quoted = False
    while at < end:
        byte = buffer[at]
        if quoted:
            if byte == BACKSLASH:
                buffer[to] = byte
                to += 1
                at += 1
                byte = buffer[at]
            elif byte == QUOTE:
                quoted = False
        elif byte == 32 or byte == 9 or byte == 10 or byte == 13:
            at += 1
            continue
        elif byte == QUOTE:
            quoted = True
        buffer[to] = byte
        to += 1
        at += 1
    return to
