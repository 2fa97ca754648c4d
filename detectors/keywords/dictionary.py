"""The dictionary of jieba as a compact table: which pieces of a text are words, and how frequent.

Read from jieba's own file without importing jieba: 349,000 words in 5 MB and a tenth of a second, where a dictionary of
strings takes 60 MB. A word stands in the table as a hash of 64 bits: that one of the pieces ever asked for should meet
another word's is as likely as a fault of the memory.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from detectors.errors import DictionaryError
from detectors.normalise.view import code_points

Longs = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Words = list[list[tuple[int, float]]]

FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
MIX: Final = np.uint64(0xFF51AFD7ED558CCD)
BITS: Final = 22
_SHIFT: Final = np.uint64(64 - BITS)
LONGEST: Final = 16
"""Characters of the longest word taken."""


class Dictionary:
    """Words by hash, ascending, with the logarithm of their share of all words.

    A bit table of 512 KB says of nearly all pieces that they are no word, before the table is searched.
    """

    def __init__(self, lengths: Longs, hashes: Hashes, counts: npt.NDArray[np.float64]) -> None:
        self.longest = int(lengths.max(initial=1))
        order = ascending(hashes)
        hashes = hashes[order]
        # Of a word that stands twice the one or the other counts.
        fresh = np.append(True, hashes[1:] != hashes[:-1])
        self.hashes = hashes[fresh]
        total = np.log(max(float(counts.sum()), 1.0))
        self.shares = np.log(np.maximum(counts[order[fresh]], 1.0)) - total
        self.unknown = -float(total)
        self.bits = np.zeros(1 << (BITS - 3), np.uint8)
        place = self.hashes >> _SHIFT
        # Hashes ascend, so the bits of one byte stand side by side.
        byte = (place >> np.uint64(3)).astype(np.int64)
        first = np.flatnonzero(np.diff(byte, prepend=-1))
        if len(first):
            bit = np.left_shift(1, (place & np.uint64(7)).astype(np.uint8), dtype=np.uint8)
            self.bits[byte[first]] = np.bitwise_or.reduceat(bit, first)

    def words_in(self, points: npt.NDArray[np.uint32]) -> Words:
        """For each place of ``points`` the words that begin there: (the place after it, log share), shorter first."""
        n = len(points)
        found: Words = [[] for _ in range(n)]
        value = np.zeros(n, np.uint64)
        wide = points.astype(np.uint64)
        begins, sizes, keys = [], [], []
        for size in range(1, min(self.longest, n) + 1):
            value = _step(value[: n - size + 1], wide[size - 1 :])
            key = _mixed(value)
            place = key >> _SHIFT
            said = (self.bits[(place >> np.uint64(3)).astype(np.int64)] >> (place & np.uint64(7)).astype(np.uint8)) & 1
            which = np.flatnonzero(said)
            begins.append(which)
            sizes.append(np.full(len(which), size))
            keys.append(key[which])
        if not keys:
            return found
        key = np.concatenate(keys)
        at = np.minimum(np.searchsorted(self.hashes, key), len(self.hashes) - 1)
        held = self.hashes[at] == key
        begin, size, weight = np.concatenate(begins)[held], np.concatenate(sizes)[held], self.shares[at[held]]
        for low, high, share in zip(begin.tolist(), (begin + size).tolist(), weight.tolist(), strict=True):
            found[low].append((high, share))
        return found


def _step(value: npt.NDArray[np.uint64], points: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return (value ^ points) * FACTOR


def _mixed(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    value = value ^ (value >> np.uint64(32))
    return value * MIX


@lru_cache(maxsize=1)
def dictionary() -> Dictionary:
    """Return the dictionary of the jieba that is installed, read once a process.

    Raises:
        DictionaryError: jieba is not installed, or its dictionary cannot be read.
    """
    package = find_spec("jieba")  # says where it lies without importing it, or reading every package's metadata
    if package is None or package.origin is None:
        raise DictionaryError("jieba is not installed.", cure="Install it: pip install jieba")
    try:
        return Dictionary(*_read(Path(package.origin).with_name("dict.txt")))
    except (OSError, ValueError) as error:
        raise DictionaryError(
            f"The word dictionary of jieba cannot be read: {error}.", cure="Install it again: pip install jieba"
        ) from error


def _read(path: Path) -> tuple[Longs, Hashes, npt.NDArray[np.float64]]:
    """Return lengths, hashes and counts of the words in lines of "word count kind".

    Raises:
        ValueError: a line is not of this form.
    """
    lines = csv.read_csv(
        path,
        read_options=csv.ReadOptions(column_names=["word", "count", "kind"], use_threads=False),
        parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
        convert_options=csv.ConvertOptions(
            column_types={"word": pa.string(), "count": pa.int64()}, include_columns=["word", "count"]
        ),
    ).combine_chunks()
    lines = lines.filter(pc.less_equal(pc.utf8_length(lines["word"]), LONGEST)).combine_chunks()
    counts = lines["count"].to_numpy()
    if not len(counts) or counts.min() < 0:
        raise ValueError("not of the form: word, count, kind")
    lengths = pc.utf8_length(lines["word"]).to_numpy().astype(np.int64)
    if not lengths.min():
        raise ValueError("a word is empty")
    text, _ = code_points(lines["word"].chunk(0))
    starts = np.cumsum(lengths) - lengths
    hashes = np.zeros(len(lengths), np.uint64)
    for place in range(int(lengths.max())):
        which = np.flatnonzero(lengths > place)
        hashes[which] = _step(hashes[which], text[starts[which] + place].astype(np.uint64))
    return lengths, _mixed(hashes), counts.astype(np.float64)


def ascending(hashes: Hashes) -> Longs:
    """Return the order that sorts ``hashes``: with the place in the low bits, numbers are sorted instead of places."""
    low = np.uint64((1 << max(len(hashes) - 1, 1).bit_length()) - 1)
    packed = (hashes & ~low) | np.arange(len(hashes), dtype=np.uint64)
    packed.sort()
    order = (packed & low).astype(np.int64)
    # Two that differ in the low bits only may stand the wrong way round.
    return order if (hashes[order[1:]] >= hashes[order[:-1]]).all() else np.argsort(hashes)
