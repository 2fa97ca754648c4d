# ruff: noqa: PLR0912, PLR0915, PLR1714, SIM109
# A compiled loop is one long function, and compares bytes one by one.
"""JSON values in a buffer (RFC 8259), checked and measured by compiled loops.

Functions take positions in a buffer and return the position after what they read, or the negative ``Code`` of what is
wrong with it. Nothing recurses: nesting is followed on a stack of fixed depth. Strings are read by json_text.py.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.compiled import kernel
from pipelines.decode.cells import Bytes, Int64s
from pipelines.decode.json_text import BACKSLASH, QUOTE, hash_text, skip_text
from pipelines.decode.names import home
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
_DEEP: Final = -int(Code.TOO_DEEP)
_DUPLICATE: Final = -int(Code.DUPLICATE_KEY)
_MANY: Final = -int(Code.TOO_MANY_FIELDS)

_VALUE, _AFTER, _FIRST_KEY, _KEY, _FIRST_ITEM = range(5)

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
                at = skip_text(buffer, at + 1, end)
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
            at, hashed = hash_text(buffer, at + 1, end, seed)
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
