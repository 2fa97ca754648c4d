"""Random numbers that are the same for ever: SplitMix64 (Steele, Lea, Flood 2014) over counters, in whole arrays.

NumPy may change its distributions between versions; a sample made from a seed must not change with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
UInt64s = NDArray[np.uint64]
Floats = NDArray[np.float64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


def mixed(values: UInt64s) -> UInt64s:
    """SplitMix64's finaliser: one well spread word for every word."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Draws:
    """A sequence of arrays of random numbers, the same for the same seed, name and block."""

    def __init__(self, seed: int, name: str, block: int = 0) -> None:
        key = hashlib.sha256(f"liucun sample {seed} {name} {block}".encode()).digest()
        self._key = int.from_bytes(key[:8], "little")
        self._calls = 0

    def bits(self, count: int) -> UInt64s:
        """``count`` words of 64 random bits."""
        self._calls += 1
        start = mixed(np.array([(self._key + self._calls) % (1 << 64)], dtype=np.uint64))[0]
        return mixed(start + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)

    def below(self, limit: int, count: int) -> Int64s:
        """Whole numbers from 0 to ``limit`` - 1; the bias of the remainder is far below anything seen here."""
        return (self.bits(count) % np.uint64(limit)).astype(np.int64)

    def between(self, low: int, high: int, count: int) -> Int64s:
        """Whole numbers from ``low`` to ``high`` - 1."""
        return low + self.below(high - low, count)

    def unit(self, count: int) -> Floats:
        """Numbers in [0, 1)."""
        return (self.bits(count) >> np.uint64(11)).astype(np.float64) / float(1 << 53)

    def skewed(self, limit: int, count: int) -> Int64s:
        """Whole numbers from 0 to ``limit`` - 1, low ones far more often: few accounts do most of what is done."""
        unit = self.unit(count)
        return (unit * unit * unit * limit).astype(np.int64)

    def weighted(self, weights: Sequence[int], count: int) -> Int64s:
        """Indices into ``weights``, as often as they say."""
        borders = np.cumsum(np.array(weights, dtype=np.int64))
        return np.searchsorted(borders, self.below(int(borders[-1]), count), side="right").astype(np.int64)

    def pick(self, words: pa.Array, count: int) -> pa.Array:
        """Words, each as likely as the others."""
        return words.take(pa.array(self.below(len(words), count)))
