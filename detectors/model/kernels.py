"""The compiled path: UTF-8 bytes of a whole column to sums of weights, in one pass.

Same result as ``views`` and ``hashing`` in integers, so bit for bit. A column of two
values a bucket, small enough for the processor's cache, is summed first where the
model has a gate: only rows that pass it pay for the whole table. numba is
imported with this module only, because that costs half a second. Compiled code
is cached beside the module, or in the user's cache folder where that is read-only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.model.explain import stretches
from detectors.model.hashing import MIX, MULTIPLIERS, SEEDS
from detectors.model.tables import ViewTables

compiled_stretches = njit(cache=True, nogil=True)(stretches)
_A, _B, _C = (np.uint32(m) for m in MULTIPLIERS)
_MIX = np.uint32(MIX)
_PLAIN = np.array(SEEDS[0], np.uint32)
_SPOKEN = np.array(SEEDS[1], np.uint32)
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
            h = np.uint32(np.uint32(tokens[i] * _A) + seed)
            h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * _MIX)
            out[i] = np.uint32(h ^ np.uint32(h >> np.uint32(13))) & mask
        count = n
    if n > 1:
        seed = seeds[1]
        for i in range(n - 1):
            h = np.uint32(np.uint32(np.uint32(tokens[i] * _A) + np.uint32(tokens[i + 1] * _B)) + seed)
            h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * _MIX)
            out[count + i] = np.uint32(h ^ np.uint32(h >> np.uint32(13))) & mask
        count += n - 1
    if n > 2:
        seed = seeds[2]
        for i in range(n - 2):
            h = np.uint32(np.uint32(tokens[i] * _A) + np.uint32(tokens[i + 1] * _B))
            h = np.uint32(np.uint32(h + np.uint32(tokens[i + 2] * _C)) + seed)
            h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * _MIX)
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
def _flush(lanes: Any, sums: Any) -> None:
    """Empty the 16-bit lanes into the row's sums: lane pair w holds columns 8w … 8w + 7, even ones first."""
    for w in range(lanes.shape[0] // 2):
        even, odd = lanes[2 * w], lanes[2 * w + 1]
        for k in range(4):
            shift = np.uint64(16 * k)
            sums[8 * w + 2 * k] += np.int64((even >> shift) & np.uint64(0xFFFF))
            sums[8 * w + 2 * k + 1] += np.int64((odd >> shift) & np.uint64(0xFFFF))
        lanes[2 * w] = 0
        lanes[2 * w + 1] = 0


@njit(cache=True, nogil=True, boundscheck=False)
def _full_sums(buckets: Any, count: Any, words: Any, lanes: Any, sums: Any) -> None:
    """Add all columns over some buckets to ``sums``, still biased by 128 each.

    Eight int8 columns, biased here to be unsigned, are one 64-bit word, added as two words of four 16-bit lanes. 256
    times 255 is the most a lane holds.
    """
    low = np.uint64(0x00FF00FF00FF00FF)
    bias = np.uint64(0x8080808080808080)
    eight = np.uint64(8)
    width = words.shape[1]
    held = 0
    for i in range(count):
        for w in range(width):
            word = words[buckets[i], w] ^ bias
            lanes[2 * w] += word & low
            lanes[2 * w + 1] += (word >> eight) & low
        held += 1
        if held == 256:
            _flush(lanes, sums)
            held = 0
    _flush(lanes, sums)


@njit(cache=True, nogil=True, boundscheck=False)
def _score(
    data: Any, offsets: Any, fold: Any, heads: Any, keys: Any, joined: Any, by_point: Any, spelling: Any, number: Any,
    pinyin: Any, words: Any, gate: Any, limits: Any, mask: Any, longest: Any, sums: Any, passed: Any,
) -> None:  # fmt: skip
    tokens = np.empty(longest + 1, np.uint32)
    spoken = np.empty(longest + 1, np.uint32)
    buckets = np.empty(5 * longest + 1, np.uint32)
    lanes = np.zeros(2 * words.shape[1], np.uint64)
    gated = gate.shape[0] > 0
    for row in range(offsets.shape[0] - 1):
        n = _fold_row(data, offsets[row], offsets[row + 1], fold, heads, keys, joined, tokens)
        count = _buckets(tokens, n, _PLAIN, False, mask, buckets)
        if pinyin:
            m = _read_row(tokens, n, by_point, spelling, number, spoken)
            count += _buckets(spoken, m, _SPOKEN, True, mask, buckets[count:])
        if gated:
            idf, none = _gate_sums(buckets, count, gate)
            norm = np.sqrt(max(idf, 1) * limits[0])
            passed[row] = (none - 128 * count) * limits[1] / norm + limits[2] <= limits[3]
            if not passed[row]:
                continue
        _full_sums(buckets, count, words, lanes, sums[row])
        sums[row] -= 128 * count
        passed[row] = True


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
    gate: npt.NDArray[np.uint16] | None = None,
    limits: tuple[float, float, float, float] = (1.0, 1.0, 0.0, 0.0),
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the sums of weights (rows × columns) of a column of text, and which rows passed the gate.

    Args:
        data: valid UTF-8, as Arrow's strings are.
        offsets: rows + 1 borders in ``data``.
        tables: folding and readings.
        pinyin: whether the second view counts.
        words: ``packed_words`` of the weights.
        gate: ``packed_gate``; rows it stops keep zero sums. Without it every row passes.
        limits: idf step, scale and bias of the gate's column, and the largest margin that passes.
    """
    rows = len(offsets) - 1
    sums = np.zeros((rows, 8 * words.shape[1]), np.int64)
    passed = np.zeros(rows, np.bool_)
    if rows:
        t = tables
        _score(
            data, offsets, t.fold, t.heads, t.pairs, t.joined, t.readings, t.spellings, t.spelled, pinyin, words,
            np.zeros(0, np.uint16) if gate is None else gate, np.array(limits, np.float64),
            np.uint32(len(words) - 1), int(np.diff(offsets).max()), sums, passed,
        )  # fmt: skip
    return sums, passed
