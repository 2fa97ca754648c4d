"""Texts that say the same over and over: a stretch that stands there three times or more in a row counts twice.

A margin grows with the square root of how often its n-grams stand there, so that 假的 twenty times over would seem
surer than any advert. Runs of one character are the folding's business.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.normalise.view import code_points

Points = npt.NDArray[np.uint32]
Longs = npt.NDArray[np.int64]

LONGEST: Final = 60
"""Characters of the longest stretch that is looked for."""


def shortened(texts: pa.StringArray) -> tuple[Longs, pa.StringArray]:
    """Return the rows that repeat themselves, ascending, and their texts with two of each run of repeats left.

    Linear: rows are compared with themselves at strides first, and only those that agree twice are read closely.
    """
    points, borders = code_points(texts)
    rows = _likely(points, borders)
    if not len(rows):
        return rows, texts.slice(0, 0)
    points, borders = code_points(texts.take(pa.array(rows)))
    before = np.diff(borders)
    row = np.repeat(np.arange(len(rows)), before)
    for period in range(2, LONGEST + 1):
        kept = ~_further(points, row, period)
        points, row = points[kept], row[kept]
    after = np.bincount(row, minlength=len(rows))
    changed = np.flatnonzero(after < before)
    ends = np.cumsum(after)
    joined = points.astype("<u4").tobytes().decode("utf-32-le")
    return rows[changed], pa.array([joined[ends[k] - after[k] : ends[k]] for k in changed], pa.string())


def _likely(points: Points, borders: Longs) -> Longs:
    """Rows that agree with themselves at two neighbouring multiples of some period: every third repeat does."""
    found = []
    for period in range(2, LONGEST + 1):
        steps = points[::period]
        same = steps[1:] == steps[:-1]
        at = np.flatnonzero(same[1:] & same[:-1]) * period
        if len(at):
            first = np.searchsorted(borders, at, side="right") - 1
            found.append(first[at + 2 * period < borders[first + 1]])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _further(points: Points, row: Longs, period: int) -> npt.NDArray[np.bool_]:
    """Which characters belong to a third or later repeat of a stretch of so many characters."""
    if len(points) < 3 * period:
        return np.zeros(len(points), np.bool_)
    same = np.zeros(len(points) + 1, np.bool_)
    same[period:-1] = (points[period:] == points[:-period]) & (row[period:] == row[:-period])
    edges = np.flatnonzero(same[1:] != same[:-1]) + 1
    begins, ends = edges[::2], edges[1::2]
    # A run of n agreements is n // period + 1 repeats; what follows the last whole one stays.
    repeats = (ends - begins) // period
    begins, repeats = begins[repeats >= 2], repeats[repeats >= 2]
    marks = np.zeros(len(points) + 1, np.int64)
    marks[begins + period] = 1
    marks[begins + repeats * period] -= 1
    return np.asarray(np.cumsum(marks)[:-1] > 0)
