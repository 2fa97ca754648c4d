"""The compiled path: UTF-8 bytes of a whole column to sums of weights, in one pass.

Same result as ``views`` and ``hashing`` in integers, so bit for bit. Where the model has a gate, only rows that pass
it (``gate``) are read here and pay for the whole table. numba is imported with the two modules only, because that costs
half a second. Compiled code is cached beside the module, or in the user's cache folder where that is read-only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.model.hashing import MIX, MULTIPLIERS, SEEDS
from detectors.model.tables import ViewTables

A, B, C = (np.uint32(m) for m in MULTIPLIERS)
MIX_32 = np.uint32(MIX)
PLAIN = np.array(SEEDS[0], np.uint32)
SPOKEN = np.array(SEEDS[1], np.uint32)
_BASE = np.uint32(0x110000)


@njit(cache=True, nogil=True, boundscheck=False)
def _find(keys: Any, key: Any) -> Any:
    low, high = 0, keys.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low < keys.shape[0] and keys[low] == key:
        return low
    return -1


@njit(cache=True, nogil=True, boundscheck=False)
def _fold_row(data: Any, low: Any, high: Any, fold: Any, heads: Any, keys: Any, joined: Any, out: Any) -> Any:
    """Fold one row of UTF-8 into ``out``; return the number of tokens."""
    n = 0
    run = 0
    i = low
    while i < high:
        b = np.uint32(data[i])
        if b < 0x80:
            point = b
            i += 1
        elif b < 0xE0:
            point = np.uint32(((b & np.uint32(0x1F)) << np.uint32(6)) | (np.uint32(data[i + 1]) & np.uint32(0x3F)))
            i += 2
        elif b < 0xF0:
            point = np.uint32(
                ((b & np.uint32(0x0F)) << np.uint32(12))
                | ((np.uint32(data[i + 1]) & np.uint32(0x3F)) << np.uint32(6))
                | (np.uint32(data[i + 2]) & np.uint32(0x3F))
            )
            i += 3
        else:
            point = np.uint32(
                ((b & np.uint32(0x07)) << np.uint32(18))
                | ((np.uint32(data[i + 1]) & np.uint32(0x3F)) << np.uint32(12))
                | ((np.uint32(data[i + 2]) & np.uint32(0x3F)) << np.uint32(6))
                | (np.uint32(data[i + 3]) & np.uint32(0x3F))
            )
            i += 4
        token = fold[point]
        if token == 0:
            continue
        if run > 0 and out[n - 1] == token:
            run += 1
            if run > 2:
                continue
        else:
            run = 1
        out[n] = token
        n += 1
    # Join split characters; of two overlapping pairs in a row the second is left alone.
    m = 0
    i = 0
    before = False
    while i < n:
        token = out[i]
        hit = -1
        if i + 1 < n and heads[token]:
            hit = _find(keys, np.uint64((np.uint64(token) << np.uint64(32)) | np.uint64(out[i + 1])))
        if hit >= 0 and not before:
            # The next position may itself begin a pair: it is then the second of two neighbours.
            following = -1
            if i + 2 < n and heads[out[i + 1]]:
                following = _find(keys, np.uint64((np.uint64(out[i + 1]) << np.uint64(32)) | np.uint64(out[i + 2])))
            out[m] = joined[hit]
            m += 1
            i += 2
            before = following >= 0
        else:
            before = hit >= 0
            out[m] = token
            m += 1
            i += 1
    return m


@njit(cache=True, nogil=True, boundscheck=False)
def _read_row(tokens: Any, n: Any, by_point: Any, spelling: Any, number: Any, out: Any) -> Any:
    """Read ``n`` folded tokens aloud into ``out``; return the number of tokens."""
    m = 0
    i = 0
    while i < n:
        token = tokens[i]
        if 97 <= token <= 122:
            best = 1
            value = token
            packed = np.uint64(0)
            size = 0
            while size < 6 and i + size < n and 97 <= tokens[i + size] <= 122:
                packed = np.uint64(packed * np.uint64(32) + np.uint64(tokens[i + size] - np.uint32(96)))
                size += 1
                if size >= 2:
                    at = _find(spelling, packed)
                    if at >= 0:
                        best = size
                        value = np.uint32(_BASE + number[at])
            out[m] = value
            i += best
        else:
            if 48 <= token <= 57:
                token = np.uint32(48)
            elif token < 0x10000 and by_point[token] > 0:
                token = np.uint32(_BASE + np.uint32(by_point[token]))
            out[m] = token
            i += 1
        m += 1
    return m


@njit(cache=True, nogil=True, boundscheck=False)
def _buckets(tokens: Any, n: Any, seeds: Any, pinyin: Any, mask: Any, out: Any) -> Any:
    """Write the buckets of one view's n-grams, length by length; return how many.

    Plain loops without a branch, which the compiler turns into vector instructions.
    """
    count = np.int64(0)
    if not pinyin:
        seed = seeds[0]
        for i in range(n):
            h = np.uint32(np.uint32(tokens[i] * A) + seed)
            h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * MIX_32)
            out[i] = np.uint32(h ^ np.uint32(h >> np.uint32(13))) & mask
        count = n
    if n > 1:
        seed = seeds[1]
        for i in range(n - 1):
            h = np.uint32(np.uint32(np.uint32(tokens[i] * A) + np.uint32(tokens[i + 1] * B)) + seed)
            h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * MIX_32)
            out[count + i] = np.uint32(h ^ np.uint32(h >> np.uint32(13))) & mask
        count += n - 1
    if n > 2:
        seed = seeds[2]
        for i in range(n - 2):
            h = np.uint32(np.uint32(tokens[i] * A) + np.uint32(tokens[i + 1] * B))
            h = np.uint32(np.uint32(h + np.uint32(tokens[i + 2] * C)) + seed)
            h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * MIX_32)
            out[count + i] = np.uint32(h ^ np.uint32(h >> np.uint32(13))) & mask
        count += n - 2
    return count


@njit(cache=True, nogil=True, boundscheck=False)
def _full_sums(buckets: Any, count: Any, words: Any, low: Any, sums: Any) -> None:
    """Add the columns of the words ``low`` and ``low + 1`` over some buckets to ``sums``.

    Eight int8 columns, biased here to be unsigned, are one 64-bit word, added as two words of four 16-bit lanes. 256
    times 255 is the most a lane holds.
    """
    mask = np.uint64(0x00FF00FF00FF00FF)
    bias = np.uint64(0x8080808080808080)
    eight = np.uint64(8)
    two = np.int64(low + 1 < words.shape[1])
    begin = 0
    while begin < count:
        end = min(begin + 256, count)
        first_even, first_odd = np.uint64(0), np.uint64(0)
        second_even, second_odd = np.uint64(0), np.uint64(0)
        for i in range(begin, end):
            first = words[buckets[i], low] ^ bias
            second = words[buckets[i], low + two] ^ bias
            first_even += first & mask
            first_odd += (first >> eight) & mask
            second_even += second & mask
            second_odd += (second >> eight) & mask
        for k in range(4):
            shift = np.uint64(16 * k)
            at = 8 * low + 2 * k
            sums[at] += np.int64((first_even >> shift) & np.uint64(0xFFFF))
            sums[at + 1] += np.int64((first_odd >> shift) & np.uint64(0xFFFF))
            if two:
                sums[at + 8] += np.int64((second_even >> shift) & np.uint64(0xFFFF))
                sums[at + 9] += np.int64((second_odd >> shift) & np.uint64(0xFFFF))
        begin = end
    sums[8 * low : 8 * (low + 1 + two)] -= 128 * count


@njit(cache=True, nogil=True, boundscheck=False)
def _row_buckets(
    data: Any, low: Any, high: Any, fold: Any, heads: Any, keys: Any, joined: Any, by_point: Any, spelling: Any,
    number: Any, pinyin: Any, mask: Any, tokens: Any, spoken: Any, buckets: Any,
) -> Any:  # fmt: skip
    """Write the buckets of any row; return how many."""
    n = _fold_row(data, low, high, fold, heads, keys, joined, tokens)
    count = _buckets(tokens, n, PLAIN, False, mask, buckets)
    if pinyin:
        m = _read_row(tokens, n, by_point, spelling, number, spoken)
        count += _buckets(spoken, m, SPOKEN, True, mask, buckets[count:])
    return count


@njit(cache=True, nogil=True, boundscheck=False)
def _score(
    data: Any, offsets: Any, rows: Any, fold: Any, heads: Any, keys: Any, joined: Any, by_point: Any, spelling: Any,
    number: Any, pinyin: Any, words: Any, mask: Any, longest: Any, sums: Any,
) -> None:  # fmt: skip
    tokens = np.empty(longest + 1, np.uint32)
    spoken = np.empty(longest + 1, np.uint32)
    buckets = np.empty(5 * longest + 1, np.uint32)
    for k in range(rows.shape[0]):
        row = rows[k]
        count = _row_buckets(
            data, offsets[row], offsets[row + 1], fold, heads, keys, joined, by_point, spelling, number, pinyin,
            mask, tokens, spoken, buckets,
        )  # fmt: skip
        for low in range(0, words.shape[1], 2):
            _full_sums(buckets, count, words, low, sums[k])


def packed_words(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.uint64]:
    """Return a weight table (buckets × columns, columns a multiple of 8) as 64-bit words, the same memory."""
    return np.ascontiguousarray(weights).view("<u8")


def column_sums(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int32],
    tables: ViewTables,
    pinyin: bool,
    words: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return the sums of weights (rows × columns) of some rows of a column of text.

    Args:
        data: valid UTF-8, as Arrow's strings are.
        offsets: borders in ``data``, one more than the column has rows.
        tables: folding and readings.
        pinyin: whether the second view counts.
        words: ``packed_words`` of the weights.
        rows: the rows that are asked for.
    """
    t = tables
    sums = np.zeros((len(rows), 8 * words.shape[1]), np.int64)
    if len(rows):
        mask, longest = np.uint32(len(words) - 1), int(np.diff(offsets).max(initial=0))
        views = (t.fold, t.heads, t.pairs, t.joined, t.readings, t.spellings, t.spelled, pinyin)
        _score(data, offsets, rows, *views, words, mask, longest, sums)
    return sums
