"""The compiled path of explanations: each n-gram's share over its characters, in the order in which NumPy adds them.

numba is imported with this module only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from detectors.model.explain import stretches
from detectors.model.kernels import MIX_32, PLAIN, SPOKEN, A, B, C

compiled_stretches = njit(cache=True, nogil=True)(stretches)


@njit(cache=True, nogil=True, boundscheck=False, inline="always")
def _bucket(tokens: Any, at: Any, size: Any, seeds: Any, mask: Any) -> Any:
    """Bucket of the n-gram of ``size`` tokens at a place."""
    h = np.uint32(seeds[size - 1] + np.uint32(tokens[at] * A))
    if size > 1:
        h = np.uint32(h + np.uint32(tokens[at + 1] * B))
    if size > 2:
        h = np.uint32(h + np.uint32(tokens[at + 2] * C))
    h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(15))) * MIX_32)
    return np.uint32(h ^ np.uint32(h >> np.uint32(13))) & mask


@njit(cache=True, nogil=True, boundscheck=False)
def add_idf(tokens: Any, rows: Any, spoken: Any, weights: Any, idf: Any) -> None:
    """Add the squared idf of the n-grams of one view to ``idf`` by row."""
    seeds = SPOKEN if spoken else PLAIN
    mask = np.uint32(weights.shape[0] - 1)
    for row in range(rows.shape[0] - 1):
        for size in range(2 if spoken else 1, 4):
            for at in range(rows[row], rows[row + 1] - size + 1):
                idf[row] += weights[_bucket(tokens, at, size, seeds, mask), 0]


@njit(cache=True, nogil=True, boundscheck=False)
def add_shares(
    tokens: Any, start: Any, end: Any, rows: Any, spoken: Any, weights: Any, labels: Any, scale: Any, norm: Any,
    borders: Any, rise: Any, fall: Any,
) -> None:  # fmt: skip
    """Spread the share of each n-gram of one view in the margin of its row's label over the characters it stands for.

    It is added to ``rise`` where they begin and to ``fall`` where they end; text ``n`` has its places from
    ``borders[n]`` on.
    """
    seeds = SPOKEN if spoken else PLAIN
    mask = np.uint32(weights.shape[0] - 1)
    for row in range(rows.shape[0] - 1):
        label = labels[row]
        for size in range(2 if spoken else 1, 4):
            for at in range(rows[row], rows[row + 1] - size + 1):
                weight = weights[_bucket(tokens, at, size, seeds, mask), 1 + label]
                first, last = np.int64(start[at]), np.int64(end[at + size - 1])
                share = weight * scale[label] / norm[row] / max(last - first, 1)
                rise[borders[row] + first] += share
                fall[borders[row] + last] += share
