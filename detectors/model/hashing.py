"""Hashes of token 1–3-grams: the feature space that training and scoring share.

A bucket is a mixed multiplicative hash of the tokens and of the view and length
they come from, cut to the table's size. ``Occurrences`` lists every n-gram of a
column in order; scoring in one pass without listing is in ``kernels``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.model.views import View

MULTIPLIERS: Final = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
MIX: Final = 0x2C1B3C6D
SEEDS: Final = ((0x3C6EF372, 0x1B873593, 0xCC9E2D51), (0x27D4EB2F, 0x165667B1, 0xA54FF53A))
"""Seeds by view (normalised, pinyin) and n-gram length (1 to 3)."""
LENGTHS: Final = ((1, 2, 3), (2, 3))
"""n-gram lengths by view. Single syllables are left out: 400 of them, too common to tell anything."""


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Every n-gram: row, bucket, and the tokens [first, last] of its view."""

    row: npt.NDArray[np.int64]
    bucket: npt.NDArray[np.uint32]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]


def occurrences(view: View, which: int, bits: int, lengths: tuple[int, ...] | None = None) -> Occurrences:
    """List the n-grams of one view (``which`` 0 normalised, 1 pinyin) with buckets below ``2**bits``."""
    n = len(view.tokens)
    row_of = np.repeat(np.arange(len(view.rows) - 1, dtype=np.int64), np.diff(view.rows))
    rows, buckets, firsts, lasts = [], [], [], []
    mask = np.uint32((1 << bits) - 1)
    for size in LENGTHS[which] if lengths is None else lengths:
        if n < size:
            continue
        inside = row_of[: n - size + 1] == row_of[size - 1 :]
        first = np.flatnonzero(inside)
        value = np.full(len(first), SEEDS[which][size - 1], np.uint32)
        for k in range(size):
            value += view.tokens[first + k] * np.uint32(MULTIPLIERS[k])
        value ^= value >> np.uint32(15)
        value *= np.uint32(MIX)
        value ^= value >> np.uint32(13)
        rows.append(row_of[first])
        buckets.append(value & mask)
        firsts.append(first)
        lasts.append(first + size - 1)
    if not rows:
        none = np.zeros(0, np.int64)
        return Occurrences(none, np.zeros(0, np.uint32), none, none)
    return Occurrences(np.concatenate(rows), np.concatenate(buckets), np.concatenate(firsts), np.concatenate(lasts))
