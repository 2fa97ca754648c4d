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

Longs = npt.NDArray[np.int64]

_HEAD: Final = np.uint32(1 << 30)
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


@njit(cache=True, nogil=True, boundscheck=False)
def _fold(  # noqa: PLR0912, PLR0915 - one loop over the bytes; calls and states between would cost
    data: Any, offsets: Any, packed: Any, expansions: Any, borders: Any, heads: Any, keys: Any, values: Any,
    repeats: Any, out: Any, byte_rows: Any, char_rows: Any, signs: Any,
) -> None:  # fmt: skip
    n = 0
    chars = 0
    for row in range(offsets.shape[0] - 1):
        i = np.int64(offsets[row])
        high = np.int64(offsets[row + 1])
        sign = False
        waiting = np.uint32(0)  # begins a pair perhaps
        last = np.uint32(0)  # last written
        while i < high or waiting != 0:
            if i < high:
                b = np.uint32(data[i])
                if b < 0x80:
                    point = b
                    i += 1
                elif b < 0xE0:
                    point = ((b & np.uint32(0x1F)) << np.uint32(6)) | (np.uint32(data[i + 1]) & np.uint32(0x3F))
                    i += 2
                elif b < 0xF0:
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
                entry = np.uint32(packed[point])
                if waiting == 0 and entry < _POINTS:
                    # Nearly every character: one token, nothing pending.
                    if entry == last and repeats and not (48 <= entry <= 57):
                        continue
                    if entry >= 0x800:
                        if entry >= 0x10000:
                            n = _put(out, n, entry)
                        else:
                            out[n] = np.uint8(0xE0 | (entry >> 12))
                            out[n + 1] = np.uint8(0x80 | ((entry >> 6) & 0x3F))
                            out[n + 2] = np.uint8(0x80 | (entry & 0x3F))
                            n += 3
                        chars += 1
                        last = entry
                    elif entry >= 0x80:
                        n = _put(out, n, entry)
                        chars += 1
                        last = entry
                    elif entry != 0:
                        out[n] = np.uint8(entry)
                        n += 1
                        chars += 1
                        last = entry
                    continue
                sign |= (entry & _SIGN) != 0
                value = np.uint32(entry & _VALUE)
                if value == 0:
                    continue
                low_part = np.int64(0)
                high_part = np.int64(1)
                if value >= _POINTS:
                    low_part = borders[value - _POINTS]
                    high_part = borders[value - _POINTS + np.uint32(1)]
            else:
                entry = np.uint32(0)
                value = np.uint32(0)
                low_part = np.int64(0)
                high_part = np.int64(1)
            for k in range(low_part, high_part):
                token = np.uint32(expansions[k]) if value >= _POINTS else value
                if waiting != 0:
                    both = np.uint32(0) if token == 0 else _joined(keys, values, waiting, token)
                    written = waiting if both == 0 else both
                    waiting = np.uint32(0)
                    if not (repeats and written == last and not (48 <= written <= 57)):
                        n = _put(out, n, written)
                        chars += 1
                        last = written
                    if both != 0:
                        continue
                if token == 0:
                    continue
                is_head = heads[token] if value >= _POINTS else (entry & _HEAD) != 0
                if is_head:
                    waiting = token
                elif not (repeats and token == last and not (48 <= token <= 57)):
                    n = _put(out, n, token)
                    chars += 1
                    last = token
        byte_rows[row + 1] = n
        char_rows[row + 1] = chars
        signs[row] = sign


@lru_cache(maxsize=6)
def _packed(table: FoldTable) -> npt.NDArray[np.uint32]:
    single = np.minimum(table.points, POINTS - 1)
    head = table.heads[single] & (table.points < POINTS)
    return table.points | np.where(head, _HEAD, 0).astype(np.uint32) | np.where(table.signs, _SIGN, 0).astype(np.uint32)


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
    _fold(
        data, offsets, _packed(table), table.expansions, table.borders, table.heads, table.pairs, table.joined,
        repeats, out, byte_rows, char_rows, signs,
    )  # fmt: skip
    return out[: byte_rows[-1]].tobytes(), byte_rows, char_rows, signs
