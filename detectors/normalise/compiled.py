"""The compiled path: UTF-8 bytes of a whole column to folded UTF-8 bytes, in one pass.

Same result as ``view``, byte for byte. numba is imported with this module only; compiled code is cached beside the
module, or in the user's cache folder where that cannot be written.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.normalise.tables.fold import GROWTH, POINTS, FoldTable
from detectors.normalise.tables.split import BARE_RADICALS

Longs = npt.NDArray[np.int64]

_RADICAL: Final = np.uint32(1 << 30)
_SIGN: Final = np.uint32(1 << 31)
_VALUE: Final = np.uint32((1 << 30) - 1)
_POINTS: Final = np.uint32(POINTS)


@njit(cache=True, nogil=True, boundscheck=False)
def _put(out: Any, n: Any, token: Any) -> Any:
    """Write a code point as UTF-8; return the next free place."""
    if token < 0x80:
        out[n] = token
        return n + 1
    if token < 0x800:
        out[n] = 0xC0 | (token >> 6)
        out[n + 1] = 0x80 | (token & 0x3F)
        return n + 2
    if token < 0x10000:
        out[n] = 0xE0 | (token >> 12)
        out[n + 1] = 0x80 | ((token >> 6) & 0x3F)
        out[n + 2] = 0x80 | (token & 0x3F)
        return n + 3
    out[n] = 0xF0 | (token >> 18)
    out[n + 1] = 0x80 | ((token >> 12) & 0x3F)
    out[n + 2] = 0x80 | ((token >> 6) & 0x3F)
    out[n + 3] = 0x80 | (token & 0x3F)
    return n + 4


@njit(cache=True, nogil=True, boundscheck=False)
def _joined(keys: Any, values: Any, first: Any, second: Any) -> Any:
    """What two tokens spell together, 0 for nothing."""
    key = (np.uint64(first) << np.uint64(32)) | np.uint64(second)
    low, high = 0, keys.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low < keys.shape[0] and keys[low] == key:
        return values[low]
    return np.uint32(0)


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def _point(data: Any, i: Any) -> Any:
    """Decode the code point at ``i``; return it and the place after it."""
    b = np.uint32(data[i])
    if b >= 0xE0:
        if b < 0xF0:
            return (
                ((b & np.uint32(0x0F)) << np.uint32(12))
                | ((np.uint32(data[i + 1]) & np.uint32(0x3F)) << np.uint32(6))
                | (np.uint32(data[i + 2]) & np.uint32(0x3F))
            ), i + 3
        return (
            ((b & np.uint32(0x07)) << np.uint32(18))
            | ((np.uint32(data[i + 1]) & np.uint32(0x3F)) << np.uint32(12))
            | ((np.uint32(data[i + 2]) & np.uint32(0x3F)) << np.uint32(6))
            | (np.uint32(data[i + 3]) & np.uint32(0x3F))
        ), i + 4
    if b < 0x80:
        return b, i + 1
    return ((b & np.uint32(0x1F)) << np.uint32(6)) | (np.uint32(data[i + 1]) & np.uint32(0x3F)), i + 2


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def fold_plain(data: Any, low: Any, high: Any, packed: Any, repeats: Any, out: Any) -> Any:
    """Fold a row in which every code point is one token or none; -1 for any other row."""
    n = np.int64(0)
    i = np.int64(low)
    end = np.int64(high)
    last = np.uint32(0)
    never = np.uint32(0) if repeats else np.uint32(0xFFFFFFFF)
    while i < end:
        # Written out here: a function of its own that returns two values costs half as much again.
        b = np.uint32(data[i])
        if b >= 0xE0:
            if b < 0xF0:
                point = (
                    ((b & np.uint32(0x0F)) << np.uint32(12))
                    | ((np.uint32(data[i + 1]) & np.uint32(0x3F)) << np.uint32(6))
                    | (np.uint32(data[i + 2]) & np.uint32(0x3F))
                )
                i += 3
            else:
                point = (
                    ((b & np.uint32(0x07)) << np.uint32(18))
                    | ((np.uint32(data[i + 1]) & np.uint32(0x3F)) << np.uint32(12))
                    | ((np.uint32(data[i + 2]) & np.uint32(0x3F)) << np.uint32(6))
                    | (np.uint32(data[i + 3]) & np.uint32(0x3F))
                )
                i += 4
        elif b < 0x80:
            point = b
            i += 1
        else:
            point = ((b & np.uint32(0x1F)) << np.uint32(6)) | (np.uint32(data[i + 1]) & np.uint32(0x3F))
            i += 2
        entry = np.uint32(packed[point])
        out[n] = entry
        if entry >= _POINTS:
            n = np.int64(-1)
            break
        digit = np.uint32(entry - np.uint32(48)) < np.uint32(10)
        # No branch: where signs stand is what the processor guesses worst.
        kept = (entry != 0) & (((entry ^ last) | never != 0) | digit)
        n += np.int64(kept)
        last = entry if kept else last
    return n


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def fold_row(
    data: Any, low: Any, high: Any, packed: Any, expansions: Any, borders: Any, heads: Any, keys: Any, values: Any,
    repeats: Any, out: Any,
) -> Any:  # fmt: skip
    """Fold one row of UTF-8 into ``out``, code points; return how many, and whether a sign with a reading was there."""
    n = fold_plain(data, low, high, packed, repeats, out)
    if n >= 0:
        return n, False
    return fold_any(data, low, high, packed, expansions, borders, heads, keys, values, repeats, out)


@njit(cache=True, nogil=True, boundscheck=False)
def fold_any(
    data: Any, low: Any, high: Any, packed: Any, expansions: Any, borders: Any, heads: Any, keys: Any, values: Any,
    repeats: Any, out: Any,
) -> Any:  # fmt: skip
    """``fold_row`` for every row: with expansions, signs and split characters."""
    n = np.int64(0)
    i = np.int64(low)
    end = np.int64(high)
    sign = False
    waiting = np.uint32(0)  # begins a pair perhaps
    last = np.uint32(0)  # last written
    while i < end:
        point, i = _point(data, i)
        entry = np.uint32(packed[point])
        sign |= (entry & _SIGN) != 0
        value = np.uint32(entry & _VALUE)
        if value == 0:
            continue
        low_part = np.int64(0)
        high_part = np.int64(1)
        if value >= _POINTS:
            low_part = borders[value - _POINTS]
            high_part = borders[value - _POINTS + np.uint32(1)]
        for k in range(low_part, high_part):
            token = np.uint32(expansions[k]) if value >= _POINTS else value
            if waiting != 0:
                both = _joined(keys, values, waiting, token)
                written = waiting if both == 0 else both
                waiting = np.uint32(0)
                if not (repeats and written == last and not (48 <= written <= 57)):
                    out[n] = written
                    n += 1
                    last = written
                if both != 0:
                    continue
            if heads[token]:
                waiting = token
            elif not (repeats and token == last and not (48 <= token <= 57)):
                out[n] = token
                n += 1
                last = token
    if waiting != 0 and not (repeats and waiting == last and not (48 <= waiting <= 57)):
        out[n] = waiting
        n += 1
    return n, sign


@njit(cache=True, nogil=True, boundscheck=False)
def _fold(
    data: Any, offsets: Any, packed: Any, expansions: Any, borders: Any, heads: Any, keys: Any, values: Any,
    repeats: Any, row_out: Any, out: Any, byte_rows: Any, char_rows: Any, signs: Any,
) -> None:  # fmt: skip
    n = 0
    chars = 0
    for row in range(offsets.shape[0] - 1):
        count, signs[row] = fold_row(
            data, offsets[row], offsets[row + 1], packed, expansions, borders, heads, keys, values, repeats, row_out
        )
        for k in range(count):
            n = _put(out, n, row_out[k])
        chars += count
        byte_rows[row + 1] = n
        char_rows[row + 1] = chars


def room_of(offsets: npt.NDArray[np.int32]) -> int:
    """Tokens that ``fold_row`` may write for the longest row."""
    return int(np.diff(offsets).max(initial=0)) * GROWTH + 1


@lru_cache(maxsize=6)
def packed_points(table: FoldTable) -> npt.NDArray[np.uint32]:
    """Return the table's code points with two bits beside: folds to a bare radical, has a second reading.

    No two characters are joined but with a bare radical, so rows without one need not look for pairs.
    """
    packed = table.points.copy()
    if len(table.pairs):
        packed[np.isin(table.points, np.array([ord(radical) for radical in BARE_RADICALS], np.uint32))] |= _RADICAL
    packed[table.signs] |= _SIGN
    return packed


def fold_bytes(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32], table: FoldTable, repeats: bool
) -> tuple[bytes, Longs, Longs, npt.NDArray[np.bool_]]:
    """Return folded bytes, row borders in bytes and in characters, and which rows hold signs.

    ``data`` must be valid UTF-8 between the ``n + 1`` offsets, as Arrow's strings are.
    """
    n = len(offsets) - 1
    byte_rows, char_rows = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    signs = np.zeros(n, np.bool_)
    size = int(offsets[-1]) - int(offsets[0])
    out = np.empty(size * GROWTH, np.uint8)
    row_out = np.empty(room_of(offsets), np.uint32)
    _fold(
        data, offsets, packed_points(table), table.expansions, table.borders, table.heads, table.pairs, table.joined,
        repeats, row_out, out, byte_rows, char_rows, signs,
    )  # fmt: skip
    return out[: byte_rows[-1]].tobytes(), byte_rows, char_rows, signs
