"""The compiled path: UTF-8 bytes of a whole column to sums of weights, in one pass.

Same result as ``views`` and ``hashing`` in integers, so bit for bit. A column of two
values a bucket, small enough for the processor's cache, is summed first where the
model has a gate: only rows that pass it are read again and pay for the whole table. numba is
imported with this module only, because that costs half a second. Compiled code
is cached beside the module, or in the user's cache folder where that is read-only.
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
_TOKEN = np.uint32(0xFFFF)
_READING = np.uint32(0xFFF)
_LETTER = np.uint32(1 << 28)
_TAIL = np.uint32(1 << 29)
_HEAD = np.uint32(1 << 30)
_HARD = np.uint32(1 << 31)


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


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def _plain_row(data: Any, low: Any, high: Any, near: Any, tokens: Any, spoken: Any) -> Any:
    """Fold one row and read it aloud in one loop; return the number of tokens, the same for both.

    -1 for a row with anything that one look into ``near`` does not answer: a code point that needs four bytes or two
    characters that may be one split. -2 - n for ``n`` tokens with Latin letters, which may be parts of syllables: they
    are still to be read.
    """
    n = np.int64(0)
    i = np.int64(low)
    end = np.int64(high)
    last = np.uint32(0)
    before = np.uint32(0)
    odd = np.uint32(0)
    while i < end:
        b = np.uint32(data[i])
        if b >= 0xE0:
            if b >= 0xF0:
                return np.int64(-1)
            point = (
                ((b & np.uint32(0x0F)) << np.uint32(12))
                | ((np.uint32(data[i + 1]) & np.uint32(0x3F)) << np.uint32(6))
                | (np.uint32(data[i + 2]) & np.uint32(0x3F))
            )
            i += 3
        elif b < 0x80:
            point = b
            i += 1
        else:
            point = ((b & np.uint32(0x1F)) << np.uint32(6)) | (np.uint32(data[i + 1]) & np.uint32(0x3F))
            i += 2
        entry = np.uint32(near[point])
        token = entry & _TOKEN
        reading = (entry >> np.uint32(16)) & _READING
        tokens[n] = token
        digit = np.uint32(token - np.uint32(48)) < np.uint32(10)
        spoken[n] = _BASE + reading if reading != 0 else np.uint32(48) if digit else token
        # No branch: where signs stand is what the processor guesses worst.
        keep = (token != 0) & ((entry != last) | (entry != before))
        odd |= entry | ((last >> np.uint32(1)) & entry & _TAIL) << np.uint32(2) if keep else np.uint32(0)
        before = last if keep else before
        last = entry if keep else last
        n += np.int64(keep)
    if odd >= _HARD:
        return np.int64(-1)
    return np.int64(-2) - n if odd & _LETTER else n


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
def _gate_sums(buckets: Any, count: Any, gate: Any) -> Any:
    """Return the sums of squared idf and of the none label's biased weight over some buckets.

    Both are added in one word of two halves, which 2**24 buckets could not overflow; more are added in pieces.
    """
    idf = np.int64(0)
    none = np.int64(0)
    both = np.uint64(0x000000FF000000FF)
    low = 0
    while low < count:
        high = min(low + (1 << 20), count)
        held = np.uint64(0)
        for i in range(low, high):
            pair = np.uint64(gate[buckets[i]])
            held += (pair | (pair << np.uint64(24))) & both
        idf += np.int64(held & np.uint64(0xFFFFFFFF))
        none += np.int64(held >> np.uint64(32))
        low = high
    return idf, none


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
def _pass_gate(
    data: Any, offsets: Any, near: Any, fold: Any, heads: Any, keys: Any, joined: Any, by_point: Any, spelling: Any,
    number: Any, pinyin: Any, gate: Any, limits: Any, mask: Any, longest: Any, passed: Any,
) -> None:  # fmt: skip
    """Mark the rows whose margin of the gate's column is small enough."""
    tokens = np.empty(longest + 1, np.uint32)
    spoken = np.empty(longest + 1, np.uint32)
    buckets = np.empty(5 * longest + 1, np.uint32)
    for row in range(offsets.shape[0] - 1):
        n = _plain_row(data, offsets[row], offsets[row + 1], near, tokens, spoken)
        if n != -1:
            m = n
            if n < 0:
                n = -2 - n
                m = _read_row(tokens, n, by_point, spelling, number, spoken) if pinyin else 0
            count = _buckets(tokens, n, PLAIN, False, mask, buckets)
            if pinyin:
                count += _buckets(spoken, m, SPOKEN, True, mask, buckets[count:])
        else:
            count = _row_buckets(
                data, offsets[row], offsets[row + 1], fold, heads, keys, joined, by_point, spelling, number, pinyin,
                mask, tokens, spoken, buckets,
            )  # fmt: skip
        idf, none = _gate_sums(buckets, count, gate)
        norm = np.sqrt(max(idf, 1) * limits[0])
        passed[row] = (none - 128 * count) * limits[1] / norm + limits[2] <= limits[3]


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


def near_points(tables: ViewTables) -> npt.NDArray[np.uint32]:
    """Return what ``_plain_row`` must know of the code points below 0x10000, 256 KB that stay in the cache.

    The token in 16 bits, its reading in 12; then whether it ends and whether it begins a pair of split characters,
    whether it is a Latin letter, and whether it needs more than this table: 16 bits for the token, 12 for the reading.
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
    return np.asarray(packed, np.uint32)


def packed_words(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.uint64]:
    """Return a weight table (buckets × columns, columns a multiple of 8) as 64-bit words, the same memory."""
    return np.ascontiguousarray(weights).view("<u8")


def packed_gate(weights: npt.NDArray[np.int8], column: int) -> npt.NDArray[np.uint16]:
    """Return squared idf and one column, biased, as one 16-bit value a bucket."""
    none = (weights[:, column].view(np.uint8) ^ np.uint8(0x80)).astype(np.uint16)
    return np.asarray(weights[:, 0].view(np.uint8).astype(np.uint16) | (none << np.uint16(8)), np.uint16)


def column_sums(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int32],
    tables: ViewTables,
    pinyin: bool,
    words: npt.NDArray[np.uint64],
    near: npt.NDArray[np.uint32],
    gate: npt.NDArray[np.uint16] | None = None,
    limits: tuple[float, float, float, float] = (1.0, 1.0, 0.0, 0.0),
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows of a column of text that passed the gate, ascending, and their sums of weights (rows × columns).

    Args:
        data: valid UTF-8, as Arrow's strings are.
        offsets: rows + 1 borders in ``data``.
        tables: folding and readings.
        pinyin: whether the second view counts.
        words: ``packed_words`` of the weights.
        near: ``near_points`` of the tables.
        gate: ``packed_gate``. Without it every row passes.
        limits: idf step, scale and bias of the gate's column, and the largest margin that passes.
    """
    rows = np.arange(len(offsets) - 1)
    t = tables
    views = (t.fold, t.heads, t.pairs, t.joined, t.readings, t.spellings, t.spelled, pinyin)
    mask, longest = np.uint32(len(words) - 1), int(np.diff(offsets).max(initial=0))
    if gate is not None and len(rows):
        passed = np.zeros(len(rows), np.bool_)
        _pass_gate(
            data, offsets, near, *views, gate, np.array(limits, np.float64), mask, longest, passed
        )  # fmt: skip
        rows = np.flatnonzero(passed)
    sums = np.zeros((len(rows), 8 * words.shape[1]), np.int64)
    if len(rows):
        _score(data, offsets, rows, *views, words, mask, longest, sums)
    return rows, sums
