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

_POINTS: Final = np.uint32(POINTS)
_NEAR: Final = np.uint32(0x10000)
"""Code points that two bytes hold: nearly all of any text, in a table that stays in the processor's cache."""
_HARD: Final = np.uint32(0xFFFF)
"""In the near table: folds to several, to one farther off, to a bare radical, or has a second reading."""
_SIGN_AT: Final = _NEAR


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
def fold_plain(data: Any, low: Any, high: Any, points: Any, near: Any, repeats: Any, out: Any) -> Any:
    """Fold a row in which every code point is one token or none; -1 for any other row."""
    # Places are unsigned: signed ones are looked at for being negative, once each.
    n = np.uint64(0)
    i = np.uint64(low)
    end = np.uint64(high)
    last = np.uint32(0)
    never = not repeats
    while i < end:
        # Written out here: a function of its own that returns two values costs half as much again.
        b = np.uint32(data[i])
        if b >= 0xE0:
            if b < 0xF0:
                point = (
                    ((b & np.uint32(0x0F)) << np.uint32(12))
                    | ((np.uint32(data[i + np.uint64(1)]) & np.uint32(0x3F)) << np.uint32(6))
                    | (np.uint32(data[i + np.uint64(2)]) & np.uint32(0x3F))
                )
                entry = np.uint32(near[point])
                i += np.uint64(3)
            else:
                point = (
                    ((b & np.uint32(0x07)) << np.uint32(18))
                    | ((np.uint32(data[i + np.uint64(1)]) & np.uint32(0x3F)) << np.uint32(12))
                    | ((np.uint32(data[i + np.uint64(2)]) & np.uint32(0x3F)) << np.uint32(6))
                    | (np.uint32(data[i + np.uint64(3)]) & np.uint32(0x3F))
                )
                entry = np.uint32(points[point])
                if (
                    entry >= _POINTS
                    or (entry < _NEAR and near[entry] == _HARD)
                    or near[_SIGN_AT + (point >> np.uint32(4))]
                ):
                    return np.int64(-1)
                i += np.uint64(4)
        elif b < 0x80:
            entry = np.uint32(near[b])
            i += np.uint64(1)
        else:
            point = ((b & np.uint32(0x1F)) << np.uint32(6)) | (np.uint32(data[i + np.uint64(1)]) & np.uint32(0x3F))
            entry = np.uint32(near[point])
            i += np.uint64(2)
        if entry == _HARD:
            return np.int64(-1)
        out[n] = entry
        digit = np.uint32(entry - np.uint32(48)) < np.uint32(10)
        # No branch: where signs stand is what the processor guesses worst.
        n += np.uint64((entry != 0) & ((entry != last) | digit | never))
        last = entry if entry != 0 else last
    return np.int64(n)


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def fold_row(
    data: Any, low: Any, high: Any, points: Any, near: Any, signs: Any, expansions: Any, borders: Any, heads: Any,
    keys: Any, values: Any, repeats: Any, out: Any,
) -> Any:  # fmt: skip
    """Fold one row of UTF-8 into ``out``, code points; return how many, and whether a sign with a reading was there."""
    n = fold_plain(data, low, high, points, near, repeats, out)
    if n >= 0:
        return n, False
    return fold_any(data, low, high, points, signs, expansions, borders, heads, keys, values, repeats, out)


@njit(cache=True, nogil=True, boundscheck=False)
def fold_any(
    data: Any, low: Any, high: Any, points: Any, signs: Any, expansions: Any, borders: Any, heads: Any, keys: Any,
    values: Any, repeats: Any, out: Any,
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
        value = np.uint32(points[point])
        sign |= signs[point]
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
    data: Any, offsets: Any, points: Any, near: Any, sign_points: Any, expansions: Any, borders: Any, heads: Any,
    keys: Any, values: Any, repeats: Any, row_out: Any, out: Any, byte_rows: Any, char_rows: Any, signs: Any,
) -> None:  # fmt: skip
    n = 0
    chars = 0
    for row in range(offsets.shape[0] - 1):
        count, signs[row] = fold_row(
            data, offsets[row], offsets[row + 1], points, near, sign_points, expansions, borders, heads, keys, values,
            repeats, row_out,
        )  # fmt: skip
        for k in range(count):
            n = _put(out, n, row_out[k])
        chars += count
        byte_rows[row + 1] = n
        char_rows[row + 1] = chars


def room_of(offsets: npt.NDArray[np.int32]) -> int:
    """Tokens that ``fold_row`` may write for the longest row."""
    return int(np.diff(offsets).max(initial=0)) * GROWTH + 1


@lru_cache(maxsize=6)
def near_points(table: FoldTable) -> npt.NDArray[np.uint16]:
    """Return what the code points below 0x10000 fold to, 0xFFFF where a row with them needs more than a table.

    Behind that, for each block of 16 code points, whether one of them has a second reading. No two characters are
    joined but with a bare radical, so rows without one need not look for pairs.
    """
    near = np.minimum(table.points[:_NEAR], _HARD)
    if len(table.pairs):
        near[np.isin(near, np.array([ord(radical) for radical in BARE_RADICALS], np.uint32))] = _HARD
    near[table.signs[:_NEAR]] = _HARD
    return np.concatenate([near, table.signs.reshape(-1, 16).any(axis=1)]).astype(np.uint16)


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
        data, offsets, table.points, near_points(table), table.signs, table.expansions, table.borders, table.heads,
        table.pairs, table.joined, repeats, row_out, out, byte_rows, char_rows, signs,
    )  # fmt: skip
    return out[: byte_rows[-1]].tobytes(), byte_rows, char_rows, signs
