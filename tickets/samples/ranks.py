"""Which texts a day's sample holds: those with the lowest ranks, a number that a secret of the store gives each place.

A text's rank depends on the store's key, the day and its place alone. So every text of the day has the same chance, the
choice does not depend on when or how often it is made, and whoever holds the store can make it again and compare.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

METHOD: Final = "lowest-splitmix64/v1"
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


class Blinder(Protocol):
    """Keyed hashes of the store."""

    def blind(self, value: str, purpose: str) -> str:
        """Hexadecimal keyed hash."""
        ...


def seed_of(bodies: Blinder, day: str, source: str, partition: str, field: str) -> int:
    """64 bits that nobody without the store's key can guess, for one partition and day."""
    return int(bodies.blind("\x00".join((day, source, partition, field)), "review sample")[:16], 16)


def ranks(seed: int, offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Ranks of a partition's offsets: SplitMix64's finaliser (Steele, Lea, Flood 2014); distinct offsets differ."""
    with np.errstate(over="ignore"):
        mixed = offsets.astype(np.uint64) * _GOLDEN + np.uint64(seed)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
        return mixed ^ (mixed >> np.uint64(31))
