"""Which rows are to be judged, compiled: those in which a rule's words and every group near them have a hit.

Same result as ``Scanner.rows_to_judge`` without it; imported with the compiled scan only, which has loaded numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.keywords.patterns import PlanColumns

Longs = npt.NDArray[np.int64]


@njit(cache=True, nogil=True, boundscheck=False)
def _judge(
    row: Any, low: Any, high: Any, lists: Any, near: Any, count: Any, by_words: Any, owned: Any, judge: Any
) -> None:
    seen = np.full(count + 1, -1, np.int64)
    begin = 0
    while begin < row.shape[0]:
        here = row[begin]
        end = begin
        while end < row.shape[0] and row[end] == here:
            for at in range(low[end], high[end]):
                seen[lists[at]] = here
            end += 1
        seen[count] = here  # what fills up ``near``
        for hit in range(begin, end):
            if judge[here]:
                break
            for at in range(low[hit], high[hit]):
                words = lists[at]
                for k in range(owned[words], owned[words + 1]):
                    whole = True
                    for depth in range(near.shape[1]):
                        group = near[by_words[k], depth]
                        whole &= group >= 0 and seen[group] == here
                    judge[here] |= whole
        begin = end


def rows_in_company(
    row: Longs, low: Longs, high: Longs, lists: npt.NDArray[np.int32], columns: PlanColumns, rows: int
) -> Longs:
    """Return rows below ``rows``, ascending, given hits: each one's row (all of a row beside each other) and its lists,
    ``lists[low:high]``.
    """
    judge = np.zeros(rows, np.bool_)
    _judge(row, low, high, lists, columns.near, columns.count, columns.by_words, columns.owned, judge)
    return np.flatnonzero(judge)
