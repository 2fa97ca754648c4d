"""The gate, compiled: which rows may be findings, by a column of two values a bucket that is summed first.

Same sums as ``kernels`` in integers, so bit for bit. Rows are read in blocks: n-grams are hashed over all tokens of a
block in long loops without a branch, those across two rows too, which are then left out of the sums. numba is imported
with this module only.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.model.kernels import MIX_32, PLAIN, SPOKEN, A, B, C, _find, _fold_row, _read_row
from detectors.model.tables import ViewTables

_ROWS: Final = 64
_TOKENS: Final = 4096
"""A block ends with so many rows or tokens: few enough that its arrays stay in the processor's cache."""
_BASE: Final = np.uint32(0x110000)
_TOKEN: Final = np.uint32(0xFFFF)
_READING: Final = np.uint32(0xFFF)
_LETTER: Final = np.uint32(1 << 28)
_TAIL: Final = np.uint32(1 << 29)
_HEAD: Final = np.uint32(1 << 30)
_HARD: Final = np.uint32(1 << 31)


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def _entries(data: Any, low: Any, high: Any, near: Any, fold: Any, out: Any) -> Any:
    """Write from ``out[1]`` on what ``near`` says of a row's code points, but of those dropped and runs over two.

    Returns how many, -1 for a row with a code point that needs four bytes and counts for something. Places are
    unsigned: signed ones are looked at for being negative, once each.
    """
    n, i, end = np.uint64(1), np.uint64(low), np.uint64(high)
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    last = np.uint32(0)
    before = np.uint32(0)
    while i < end:
        b = np.uint32(data[i])
        if b >= 0xE0:
            if b >= 0xF0:
                point = (
                    ((b & np.uint32(0x07)) << np.uint32(18))
                    | ((np.uint32(data[i + one]) & np.uint32(0x3F)) << np.uint32(12))
                    | ((np.uint32(data[i + two]) & np.uint32(0x3F)) << np.uint32(6))
                    | (np.uint32(data[i + three]) & np.uint32(0x3F))
                )
                if fold[point] != 0:
                    return np.int64(-1)
                i += np.uint64(4)
                continue
            point = (
                ((b & np.uint32(0x0F)) << np.uint32(12))
                | ((np.uint32(data[i + one]) & np.uint32(0x3F)) << np.uint32(6))
                | (np.uint32(data[i + two]) & np.uint32(0x3F))
            )
            i += three
        elif b < 0x80:
            point = b
            i += one
        else:
            point = ((b & np.uint32(0x1F)) << np.uint32(6)) | (np.uint32(data[i + one]) & np.uint32(0x3F))
            i += two
        entry = np.uint32(near[point])
        out[n] = entry
        # No branch: where signs stand is what the processor guesses worst.
        keep = (entry != 0) & ((entry != last) | (entry != before))
        before = last if keep else before
        last = entry if keep else last
        n += np.uint64(keep)
    return np.int64(n) - 1


@njit(cache=True, nogil=True, boundscheck=False)
def _tokens(entries: Any, count: Any, tokens: Any, spoken: Any) -> Any:
    """Write the tokens of both views, the same number; return what the row holds, as bits.

    ``_HARD`` for a token that the table does not hold, ``_LETTER`` for Latin letters, which may be parts of syllables
    and are still to be read, ``_HEAD`` for two characters that may be one split. No branch, so that the compiler turns
    the loop into vector instructions.
    """
    held = np.uint32(0)
    for k in range(count):
        entry = entries[k + 1]
        token = entry & _TOKEN
        reading = (entry >> np.uint32(16)) & _READING
        digit = np.uint32(token - np.uint32(48)) < np.uint32(10)
        tokens[k] = token
        spoken[k] = _BASE + reading if reading != 0 else np.uint32(48) if digit else token
        held |= (entry & (_HARD | _LETTER)) | ((((entries[k] >> np.uint32(1)) & entry) & _TAIL) << np.uint32(1))
    return held


@njit(cache=True, nogil=True, boundscheck=False)
def _read_letters(tokens: Any, count: Any, sizes: Any, spelling: Any, number: Any, spoken: Any) -> Any:
    """Read the Latin letters of a row aloud whose other tokens are in ``spoken`` already; return how many it has.

    Same result as ``kernels._read_row``. Bit ``k`` of ``sizes[32 * a + b]`` says that a syllable of ``k`` letters
    begins with the letters ``a`` and ``b``.
    """
    m = 0
    i = 0
    while i < count:
        best = 1
        value = spoken[i]
        first = np.uint32(tokens[i] - np.uint32(96))
        if np.uint32(first - np.uint32(1)) < np.uint32(26) and i + 1 < count:
            second = np.uint32(tokens[i + 1] - np.uint32(96))
            if np.uint32(second - np.uint32(1)) < np.uint32(26):
                there = sizes[first * np.uint32(32) + second]
                packed = np.uint64(first)
                size = 1
                while there >> size != 0 and i + size < count:
                    letter = np.uint32(tokens[i + size] - np.uint32(96))
                    if np.uint32(letter - np.uint32(1)) >= np.uint32(26):
                        break
                    packed = np.uint64(packed * np.uint64(32) + np.uint64(letter))
                    size += 1
                    if (there >> size) & 1:
                        at = _find(spelling, packed)
                        if at >= 0:
                            best = size
                            value = np.uint32(_BASE + number[at])
        spoken[m] = value
        m += 1
        i += best
    return m


@njit(cache=True, nogil=True, boundscheck=False)
def _splits(tokens: Any, heads: Any, keys: Any) -> Any:
    """Whether two neighbours spell a third."""
    for k in range(tokens.shape[0] - 1):
        if heads[tokens[k]]:
            pair = np.uint64((np.uint64(tokens[k]) << np.uint64(32)) | np.uint64(tokens[k + 1]))
            if _find(keys, pair) >= 0:
                return True
    return False


@njit(cache=True, nogil=True, boundscheck=False)
def _singles(tokens: Any, count: Any, seed: Any, mask: Any, out: Any) -> None:
    """Write the bucket of the token at each place."""
    for i in range(count):
        h = np.uint32(np.uint32(tokens[i] * A) + seed)
        h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * MIX_32)
        out[i] = np.uint32(h ^ np.uint32(h >> np.uint32(13))) & mask


@njit(cache=True, nogil=True, boundscheck=False)
def _pairs_and_triples(tokens: Any, count: Any, seed: Any, longer: Any, mask: Any, pairs: Any, triples: Any) -> None:
    """Write the buckets of the two and of the three tokens from each place on."""
    for i in range(count):
        two = np.uint32(np.uint32(tokens[i] * A) + np.uint32(tokens[i + 1] * B))
        h = np.uint32(two + seed)
        h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * MIX_32)
        pairs[i] = np.uint32(h ^ np.uint32(h >> np.uint32(13))) & mask
        h = np.uint32(np.uint32(two + np.uint32(tokens[i + 2] * C)) + longer)
        h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * MIX_32)
        triples[i] = np.uint32(h ^ np.uint32(h >> np.uint32(13))) & mask


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def _sums(buckets: Any, low: Any, count: Any, gate: Any) -> Any:
    """Return the sums of squared idf and of the biased weight over ``count`` buckets, none if it is negative."""
    whole, upper = np.uint64(0), np.uint64(0)
    i = np.uint64(low)
    end = np.uint64(low + max(count, np.int64(0)))
    while i < end:
        pair = np.uint64(gate[buckets[i]])
        whole += pair
        upper += pair >> np.uint64(8)
        i += np.uint64(1)
    return np.int64(whole - (upper << np.uint64(8))), np.int64(upper)


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def _both_sums(singles: Any, pairs: Any, triples: Any, low: Any, count: Any, gate: Any) -> Any:
    """Return the sums over a row's n-grams of one view, and how many those are."""
    idf, none = _sums(singles, low, count if singles.shape[0] else 0, gate)
    idf_2, none_2 = _sums(pairs, low, count - 1, gate)
    idf_3, none_3 = _sums(triples, low, count - 2, gate)
    grams = (count if singles.shape[0] else 0) + max(count - 1, 0) + max(count - 2, 0)
    return idf + idf_2 + idf_3, none + none_2 + none_3, grams


@njit(cache=True, nogil=True, boundscheck=False)
def _pass(
    data: Any, offsets: Any, near: Any, fold: Any, heads: Any, keys: Any, joined: Any, by_point: Any, spelling: Any,
    number: Any, sizes: Any, pinyin: Any, gate: Any, limits: Any, mask: Any, longest: Any, passed: Any,
) -> None:  # fmt: skip
    """Mark the rows whose margin of the gate's column is small enough."""
    room = _TOKENS + longest + 2
    entries = np.zeros(longest + 2, np.uint32)
    tokens, spoken = np.empty(room, np.uint32), np.empty(room, np.uint32)
    one, two, three = np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(room, np.uint32)
    none_aloud, two_aloud, three_aloud = one[:0], np.empty(room, np.uint32), np.empty(room, np.uint32)
    begins = np.zeros((2, _ROWS + 1), np.int64)
    rows = offsets.shape[0] - 1
    row = 0
    while row < rows:
        first = row
        n, m = np.int64(0), np.int64(0)
        while row < rows and row - first < _ROWS and n < _TOKENS:
            count = _entries(data, offsets[row], offsets[row + 1], near, fold, entries)
            mine, aloud = tokens[n:], spoken[m:]
            held = _HARD
            if count >= 0:
                held = _tokens(entries, count, mine, aloud)
                if held & _HEAD != 0 and _splits(mine[:count], heads, keys):
                    held |= _HARD
            said = count
            if held & _HARD != 0:
                count = _fold_row(data, offsets[row], offsets[row + 1], fold, heads, keys, joined, mine)
                said = _read_row(mine, count, by_point, spelling, number, aloud) if pinyin else 0
            elif held & _LETTER != 0:
                said = _read_letters(mine, count, sizes, spelling, number, aloud)
            n += count
            m += said
            row += 1
            begins[0, row - first], begins[1, row - first] = n, m
        tokens[n : n + 2] = 0
        spoken[m : m + 2] = 0
        _singles(tokens, n, PLAIN[0], mask, one)
        _pairs_and_triples(tokens, n, PLAIN[1], PLAIN[2], mask, two, three)
        if pinyin:
            _pairs_and_triples(spoken, m, SPOKEN[1], SPOKEN[2], mask, two_aloud, three_aloud)
        for k in range(row - first):
            low = begins[0, k]
            idf, none, grams = _both_sums(one, two, three, low, begins[0, k + 1] - low, gate)
            if pinyin:
                low = begins[1, k]
                more = _both_sums(none_aloud, two_aloud, three_aloud, low, begins[1, k + 1] - low, gate)
                idf, none, grams = idf + more[0], none + more[1], grams + more[2]
            norm = np.sqrt(max(idf + np.int64(limits[0]), 1) * limits[1])
            passed[first + k] = (none - 128 * grams) * limits[2] / norm + limits[3] <= limits[4]


def near_points(tables: ViewTables) -> npt.NDArray[np.uint32]:
    """Return what must be known of the code points below 0x10000, 256 KB of which a text's part stays in the cache.

    The token in 16 bits, its reading in 12; then whether it is a Latin letter, whether it ends and whether it begins a
    pair of split characters, and whether it needs more than this table. 0 for a code point that is dropped.
    """
    fold = tables.fold[:0x10000]
    token = np.minimum(fold, _TOKEN)
    digits = (token >= 48) & (token <= 57)
    reading = np.where(digits, 0, tables.readings[token]).astype(np.uint32)
    tails = np.isin(token, (tables.pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32))
    letters = (token >= 97) & (token <= 122)
    hard = (fold > _TOKEN) | (reading > _READING)
    packed = token | np.minimum(reading, _READING) << np.uint32(16)
    packed |= np.where(tails, _TAIL, 0) | np.where(tables.heads[token], _HEAD, 0)
    packed |= np.where(letters, _LETTER, 0) | np.where(hard, _HARD, 0)
    packed[fold == 0] = 0
    return np.asarray(packed, np.uint32)


def syllable_sizes(tables: ViewTables) -> npt.NDArray[np.int64]:
    """Return which sizes the syllables have that begin with two letters, as ``_read_letters`` asks for them."""
    sizes = np.zeros(1 << 10, np.int64)
    left, size = tables.spellings.copy(), np.full(len(tables.spellings), 2)
    while (longer := left >= 1 << 10).any():
        left[longer] >>= np.uint64(5)
        size[longer] += 1
    np.bitwise_or.at(sizes, left.astype(np.int64), np.int64(1) << size)
    return sizes


def packed_gate(weights: npt.NDArray[np.int8], column: int) -> npt.NDArray[np.uint16]:
    """Return squared idf and one column, biased, as one 16-bit value a bucket."""
    none = (weights[:, column].view(np.uint8) ^ np.uint8(0x80)).astype(np.uint16)
    return np.asarray(weights[:, 0].view(np.uint8).astype(np.uint16) | (none << np.uint16(8)), np.uint16)


class Gate:
    """What is asked of every row: whether the margin of one column of the weights is at most ``limit``."""

    def __init__(
        self,
        tables: ViewTables,
        pinyin: bool,
        weights: npt.NDArray[np.int8],
        column: int,
        margin: tuple[float, float, float, float],
        limit: float,
    ) -> None:
        """Take a model's tables and weights; ``margin``: prior, idf step, scale and bias of the column."""
        t = tables
        self._near = near_points(tables)
        self._views = (
            t.fold, t.heads, t.pairs, t.joined, t.readings, t.spellings, t.spelled, syllable_sizes(t), pinyin,
        )  # fmt: skip
        self._table = packed_gate(weights, column)
        self._limits = np.array([*margin, limit], np.float64)

    def rows(self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return the rows that pass, ascending, of a column of valid UTF-8 with rows + 1 ``offsets``."""
        passed = np.zeros(len(offsets) - 1, np.bool_)
        longest = int(np.diff(offsets).max(initial=0))
        mask = np.uint32(len(self._table) - 1)
        _pass(data, offsets, self._near, *self._views, self._table, self._limits, mask, longest, passed)
        return np.flatnonzero(passed)
