"""The tables behind the two views, as one value that a model carries with it.

A model scores text with the very tables it was trained with: they are stored in its
file, so that a later version of a conversion library cannot shift its scores, and
scoring needs none of those libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

POINTS: Final = 0x110000
"""Number of Unicode code points."""
SYLLABLE_BASE: Final = POINTS
"""Tokens of the pinyin view at or over this number are syllables."""
MAX_SYLLABLE: Final = 6
"""Letters of the longest syllable, ``zhuang``."""


@dataclass(frozen=True, slots=True)
class ViewTables:
    """How code points are folded, joined and read.

    ``fold``: code point → what it stands for, 0 for what is dropped.
    ``pairs``, ``joined``: split characters, as ``first << 32 | second`` ascending, and the character each spells.
    ``readings``: character below U+10000 → number of its syllable from 1, 0 for none.
    ``spellings``, ``spelled``: syllables in Latin letters packed base 32, ascending, and their numbers.
    """

    fold: npt.NDArray[np.uint32]
    pairs: npt.NDArray[np.uint64]
    joined: npt.NDArray[np.uint32]
    readings: npt.NDArray[np.uint16]
    spellings: npt.NDArray[np.uint64]
    spelled: npt.NDArray[np.uint32]
    heads: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        fold: npt.NDArray[np.uint32],
        pairs: dict[tuple[int, int], int],
        readings: npt.NDArray[np.uint16],
        syllables: list[str],
    ) -> ViewTables:
        """Build from a folding table, pairs of folded code points, and syllables in the order of their numbers."""
        keys = {(a << 32) | b: c for (a, b), c in pairs.items()}
        order = np.array(sorted(keys), np.uint64)
        packed = {pack(s): n for n, s in enumerate(syllables, 1) if s.isascii() and s.isalpha() and 2 <= len(s) <= 6}
        spellings = np.array(sorted(packed), np.uint64)
        return cls(
            fold=fold,
            pairs=order,
            joined=np.array([keys[int(k)] for k in order], np.uint32),
            readings=readings,
            spellings=spellings,
            spelled=np.array([packed[int(k)] for k in spellings], np.uint32),
            heads=_heads(order),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what is stored; the folding table as differences, which compress to a few kilobytes."""
        return {
            "fold": np.diff(self.fold.astype(np.int64), prepend=0).astype(np.int32),
            "pairs": self.pairs,
            "joined": self.joined,
            "readings": self.readings,
            "spellings": self.spellings,
            "spelled": self.spelled,
        }

    @classmethod
    def of_arrays(cls, stored: dict[str, npt.NDArray[Any]]) -> ViewTables:
        """Inverse of ``arrays``.

        Raises:
            ValueError: a table is missing, or of the wrong shape or range.
        """
        missing = {"fold", "pairs", "joined", "readings", "spellings", "spelled"} - set(stored)
        if missing:
            raise ValueError(f"no table {min(missing)}")
        fold = np.cumsum(stored["fold"], dtype=np.int32)
        pairs = stored["pairs"].astype(np.uint64)
        # The compiled path reads without bounds checks: whatever indexes must be known to be in range.
        if (
            len(fold) != POINTS
            or fold.min() < 0
            or fold.max() >= POINTS
            or len(stored["readings"]) != 0x10000
            or len(stored["joined"]) != len(pairs)
            or len(stored["spelled"]) != len(stored["spellings"])
            or (len(pairs) and int(pairs.max() >> np.uint64(32)) >= POINTS)
        ):
            raise ValueError("tables out of range")
        # Memory that stays zero is never touched: most planes of Unicode fold to nothing.
        sparse = np.zeros(POINTS, np.uint32)
        last = int(np.flatnonzero(fold).max(initial=0)) + 1
        sparse[:last] = fold[:last]
        return cls(
            fold=sparse,
            pairs=pairs,
            joined=stored["joined"].astype(np.uint32),
            readings=stored["readings"].astype(np.uint16),
            spellings=stored["spellings"].astype(np.uint64),
            spelled=stored["spelled"].astype(np.uint32),
            heads=_heads(pairs),
        )


def pack(word: str) -> int:
    """Letters a–z as base-32 digits, most significant first."""
    value = 0
    for letter in word:
        value = value * 32 + ord(letter) - 96
    return value


@lru_cache(maxsize=1)
def standard_tables() -> ViewTables:
    """Return the tables that new models are trained with, built in about half a second."""
    from detectors.model.folding import fold_table, split_characters, syllable_table

    readings, syllables = syllable_table()
    return ViewTables.of(fold_table(), split_characters(), readings, syllables)


def _heads(pairs: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    heads = np.zeros(POINTS, np.bool_)
    heads[(pairs >> np.uint64(32)).astype(np.int64)] = True
    return heads
