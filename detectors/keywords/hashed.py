"""Multi-pattern matching by hashed beginnings, compiled: for columns of text, where a call a hit would cost too much.

A word is filed under its first three characters (shorter ones under all they have). At each position two characters,
then three, are tested against bit tables that fit the processor's cache; where they say yes, the file is looked up and
the words in it are compared. Time is linear in the text; hits come out as arrays. numba is imported with
the first large text.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.normalise.compiled import fold_plain, fold_row, near_points, room_of
from detectors.normalise.tables.fold import POINTS, FoldTable

Longs = npt.NDArray[np.int64]

_LEAST_BITS: Final = 14
_MOST_BITS: Final = 20
"""Pairs have 2**14 to 2**20 places of two bits (is a word of two characters; begins a longer one), 4 to 256 KB."""
_ROOM: Final = 5
"""2**5 places or more for each word: few enough that a small set stays in the first level of the cache."""
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(42)
_SECOND: Final = np.uint64(21)
_EMPTY: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_WORD: Final = np.uint64(1)
_BEGINS: Final = np.uint64(2)


@njit(cache=True, nogil=True, boundscheck=False)
def _decode(data: Any, out: Any) -> Any:
    """Write the code points of valid UTF-8; return how many."""
    n = 0
    i = 0
    while i < data.shape[0]:
        b = np.uint32(data[i])
        if b < 0x80:
            out[n] = b
            i += 1
        elif b < 0xE0:
            out[n] = ((b & np.uint32(0x1F)) << np.uint32(6)) | (np.uint32(data[i + 1]) & np.uint32(0x3F))
            i += 2
        elif b < 0xF0:
            out[n] = (
                ((b & np.uint32(0x0F)) << np.uint32(12))
                | ((np.uint32(data[i + 1]) & np.uint32(0x3F)) << np.uint32(6))
                | (np.uint32(data[i + 2]) & np.uint32(0x3F))
            )
            i += 3
        else:
            out[n] = (
                ((b & np.uint32(0x07)) << np.uint32(18))
                | ((np.uint32(data[i + 1]) & np.uint32(0x3F)) << np.uint32(12))
                | ((np.uint32(data[i + 2]) & np.uint32(0x3F)) << np.uint32(6))
                | (np.uint32(data[i + 3]) & np.uint32(0x3F))
            )
            i += 4
        n += 1
    return n


@njit(cache=True, nogil=True, boundscheck=False)
def _place(keys: Any, key: Any) -> Any:
    """Index of a key, or of the free place where it would stand."""
    mask = np.uint64(keys.shape[0] - 1)
    at = np.uint64((key * _MIX) >> np.uint64(20)) & mask
    while keys[at] != key and keys[at] != _EMPTY:
        at = (at + np.uint64(1)) & mask
    return at


@njit(cache=True, nogil=True, boundscheck=False)
def _enter(keys: Any, wanted: Any, numbers: Any) -> None:
    for n in range(wanted.shape[0]):
        at = _place(keys, wanted[n])
        keys[at] = wanted[n]
        numbers[at] = n


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def _scan(  # noqa: PLR0912 - one loop; calls between would cost
    points: Any, count: Any, row: Any, held: Any, found: Any, seen: Any, shift: Any, pairs: Any, triples: Any,
    singles: Any, keys: Any, numbers: Any, borders: Any, words: Any, heads: Any, letters: Any,
) -> Any:  # fmt: skip
    """Append (word, start, row) of every hit to ``found``, which holds ``held`` of them; return both anew.

    ``seen``: for each word the last row in which it was found; only its first hit in a row is appended. If empty, all.
    """
    n = held
    for i in range(count):
        pair = (np.uint64(points[i]) << _FIRST) | (np.uint64(points[i + 1]) << _SECOND)
        probe = (pair * _MIX) >> shift
        said = (pairs[probe >> np.uint64(5)] >> (np.uint64(2) * (probe & np.uint64(31)))) & np.uint64(3)
        single = (singles[points[i] >> 6] >> (np.uint64(points[i]) & np.uint64(63))) & np.uint64(1)
        if said == 0 and single == 0:
            continue
        if said & _BEGINS:
            probe = ((pair | np.uint64(points[i + 2])) * _MIX) >> (shift - np.uint64(1))
            if (triples[probe >> np.uint64(6)] >> (probe & np.uint64(63))) & np.uint64(1) == 0:
                said &= _WORD
        for size in range(1, 4):
            if size == 1:
                if single == 0:
                    continue
                key = np.uint64(points[i]) << _FIRST
            elif size == 2:
                if said & _WORD == 0:
                    continue
                key = pair
            else:
                if said & _BEGINS == 0:
                    continue
                key = pair | np.uint64(points[i + 2])
            at = _place(keys, key)
            if keys[at] == _EMPTY:
                continue
            for w in range(borders[numbers[at]], borders[numbers[at] + 1]):
                word = words[w]
                low, high = heads[word], heads[word + 1]
                length = high - low
                if (size < 3 and length != size) or i + length > count:
                    continue
                same = True
                for k in range(size, length):
                    if points[i + k] != letters[low + k]:
                        same = False
                        break
                if same:
                    if seen.shape[0]:
                        if seen[word] == row:
                            continue
                        seen[word] = row
                    if n == found.shape[0]:
                        more = np.empty((2 * n, 3), np.int64)
                        more[:n] = found
                        found = more
                    found[n, 0] = word
                    found[n, 1] = i
                    found[n, 2] = row
                    n += 1
    return found, n


@njit(cache=True, nogil=True, boundscheck=False)
def _scan_text(
    points: Any, count: Any, shift: Any, pairs: Any, triples: Any, singles: Any, keys: Any, numbers: Any, borders: Any,
    words: Any, heads: Any, letters: Any,
) -> Any:  # fmt: skip
    found = np.empty((1024, 3), np.int64)
    found, held = _scan(
        points,
        count,
        0,
        0,
        found,
        np.empty(0, np.int64),
        shift,
        pairs,
        triples,
        singles,
        keys,
        numbers,
        borders,
        words,
        heads,
        letters,
    )
    return found[:held]


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def _filed(
    points: Any, count: Any, i: Any, size: Any, key: Any, keys: Any, numbers: Any, borders: Any, words: Any, heads: Any,
    letters: Any,
) -> Any:  # fmt: skip
    """Whether one of the words filed under a key of ``size`` characters begins at ``i``."""
    at = _place(keys, key)
    found = False
    if keys[at] != _EMPTY:
        for w in range(borders[numbers[at]], borders[numbers[at] + 1]):
            low = heads[words[w]]
            length = heads[words[w] + 1] - low
            same = size in (3, length) and i + length <= count
            k = size
            while same and k < length:
                same = points[i + k] == letters[low + k]
                k += 1
            found |= same
    return found


@njit(cache=True, nogil=True, boundscheck=False)
def _mark(
    data: Any, offsets: Any, folded: Any, near: Any, repeats: Any, points: Any, marked: Any, shift: Any, pairs: Any,
    triples: Any, singles: Any, keys: Any, numbers: Any, borders: Any, words: Any, heads: Any, letters: Any,
) -> None:  # fmt: skip
    """Mark the rows that hold a word, and those that need more than a table to be folded.

    What is folded is scanned while it is still in the processor's cache. Places are unsigned: signed ones are looked at
    for being negative, once each.
    """
    one = np.uint64(1)
    for row in range(offsets.shape[0] - 1):
        count = fold_plain(data, offsets[row], offsets[row + 1], folded, near, repeats, points)
        if count < 0:
            marked[row] = True
            continue
        points[count] = 0
        points[count + 1] = 0
        i, end = np.uint64(0), np.uint64(count)
        while i < end:
            point = np.uint64(points[i])
            pair = (point << _FIRST) | (np.uint64(points[i + one]) << _SECOND)
            probe = (pair * _MIX) >> shift
            said = (pairs[probe >> np.uint64(5)] >> (np.uint64(2) * (probe & np.uint64(31)))) & np.uint64(3)
            single = (singles[point >> np.uint64(6)] >> (point & np.uint64(63))) & one
            if (said | single) != 0:
                key = pair | np.uint64(points[i + np.uint64(2)])
                probe = (key * _MIX) >> (shift - one)
                long = (triples[probe >> np.uint64(6)] >> (probe & np.uint64(63))) & (said >> one) != 0
                at = np.int64(i)
                if (
                    (long and _filed(points, count, at, 3, key, keys, numbers, borders, words, heads, letters))
                    or (
                        said & _WORD != 0
                        and _filed(points, count, at, 2, pair, keys, numbers, borders, words, heads, letters)
                    )
                    or (
                        single != 0
                        and _filed(points, count, at, 1, point << _FIRST, keys, numbers, borders, words, heads, letters)
                    )
                ):
                    marked[row] = True
                    break
            i += one


@njit(cache=True, nogil=True, boundscheck=False)
def _scan_rows(
    data: Any, offsets: Any, rows: Any, folded: Any, near: Any, sign_points: Any, expansions: Any, begins: Any,
    split: Any, split_keys: Any, split_values: Any, repeats: Any, points: Any, signs: Any, shift: Any, pairs: Any,
    triples: Any, singles: Any, keys: Any, numbers: Any, borders: Any, words: Any, heads: Any, letters: Any,
) -> Any:  # fmt: skip
    """Fold and scan some rows."""
    found = np.empty((1024, 3), np.int64)
    seen = np.full(heads.shape[0] - 1, -1, np.int64)
    held = 0
    for row in rows:
        count, signs[row] = fold_row(
            data, offsets[row], offsets[row + 1], folded, near, sign_points, expansions, begins, split, split_keys,
            split_values, repeats, points,
        )  # fmt: skip
        points[count] = 0
        points[count + 1] = 0
        found, held = _scan(
            points, count, row, held, found, seen, shift, pairs, triples, singles, keys, numbers, borders, words, heads,
            letters,
        )  # fmt: skip
    return found[:held]


class HashedWords:
    """Words filed for scanning; ``find`` gives (word numbers, starts, ends) in characters."""

    def __init__(self, words: list[str]) -> None:
        letters = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32).copy()
        lengths = np.array([len(word) for word in words], np.int64)
        self._lengths = lengths
        self._letters = letters
        self._heads = np.zeros(len(words) + 1, np.int64)
        np.cumsum(lengths, out=self._heads[1:])
        padded = np.append(letters, [0, 0, 0]).astype(np.uint64)
        first = self._heads[:-1]
        key = padded[first] << _FIRST
        key |= np.where(lengths > 1, padded[first + 1] << _SECOND, np.uint64(0))
        key |= np.where(lengths > 2, padded[np.minimum(first + 2, len(padded) - 1)], np.uint64(0))
        order = np.argsort(key, kind="stable")
        distinct, begins = np.unique(key[order], return_index=True)
        self._words = order.astype(np.int64)
        self._borders = np.append(begins, len(words)).astype(np.int64)
        size = 1 << max(4, int(2 * len(distinct)).bit_length())
        self._keys = np.full(size, _EMPTY, np.uint64)
        self._numbers = np.zeros(size, np.int64)
        _enter(self._keys, distinct, self._numbers)
        self._singles = np.zeros(POINTS >> 6, np.uint64)
        alone = letters[first[lengths == 1]].astype(np.uint64)
        np.bitwise_or.at(
            self._singles, (alone >> np.uint64(6)).astype(np.int64), np.uint64(1) << (alone & np.uint64(63))
        )
        bits = min(max(len(words).bit_length() + _ROOM, _LEAST_BITS), _MOST_BITS)
        self._shift = np.uint64(64 - bits)
        pair = ((key >> _SECOND << _SECOND) * _MIX) >> self._shift
        said = np.where(lengths == 2, _WORD, _BEGINS)
        place, spot = (pair >> np.uint64(5)).astype(np.int64), np.uint64(2) * (pair & np.uint64(31))
        self._pairs = np.zeros(1 << (bits - 5), np.uint64)
        np.bitwise_or.at(self._pairs, place[lengths > 1], (said << spot)[lengths > 1])
        triple = (key * _MIX) >> (self._shift - np.uint64(1))
        place, bit = (triple >> np.uint64(6)).astype(np.int64), np.uint64(1) << (triple & np.uint64(63))
        self._triples = np.zeros(1 << (bits + 1 - 6), np.uint64)
        np.bitwise_or.at(self._triples, place[lengths > 2], bit[lengths > 2])

        self._file = (
            self._shift, self._pairs, self._triples, self._singles, self._keys, self._numbers, self._borders,
            self._words, self._heads, self._letters,
        )  # fmt: skip

    def find(self, text: bytes) -> tuple[Longs, Longs, Longs]:
        """Return all hits in valid UTF-8, overlapping ones included, in ascending order of their starts."""
        points = np.empty(len(text) + 2, np.uint32)
        count = _decode(np.frombuffer(text, np.uint8), points)
        points[count : count + 2] = 0
        found = _scan_text(points, count, *self._file)
        word, start = found[:, 0], found[:, 1]
        return word, start, start + self._lengths[word]

    def marked(
        self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32], table: FoldTable, repeats: bool
    ) -> Longs:
        """Return the rows of a column of valid UTF-8 that hold a word once folded, ascending, and those that need more
        than a table to be folded.
        """
        found = np.zeros(len(offsets) - 1, np.bool_)
        points = np.empty(room_of(offsets) + 2, np.uint32)
        _mark(data, offsets, table.points, near_points(table), repeats, points, found, *self._file)
        return np.flatnonzero(found)

    def find_in(
        self,
        data: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int32],
        rows: Longs,
        table: FoldTable,
        repeats: bool,
    ) -> tuple[Longs, Longs, npt.NDArray[np.bool_]]:
        """Fold some rows of a column of valid UTF-8 and scan them; return (word numbers, rows), each word once a row,
        and which rows of the column, of these, hold a sign with a second reading.
        """
        signs = np.zeros(len(offsets) - 1, np.bool_)
        points = np.empty(room_of(offsets) + 2, np.uint32)
        found = _scan_rows(
            data, offsets, rows, table.points, near_points(table), table.signs, table.expansions, table.borders,
            table.heads, table.pairs, table.joined, repeats, points, signs, *self._file,
        )  # fmt: skip
        return found[:, 0], found[:, 2], signs

    def find_rows(
        self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32], table: FoldTable, repeats: bool
    ) -> tuple[Longs, Longs, npt.NDArray[np.bool_]]:
        """``find_in`` of the whole column."""
        return self.find_in(data, offsets, self.marked(data, offsets, table, repeats), table, repeats)
