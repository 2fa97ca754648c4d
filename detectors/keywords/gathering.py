"""Which rows are to be judged, compiled: those in which a rule's words and every group near them have a hit.

Same result as ``Scanner.rows_to_judge`` without it. ``Company`` asks for more, where hits stand, and leaves out rows in
which none can be one of a rule; judging would find the same. Imported with the compiled scan only, which has loaded
numba.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.keywords.evaluate import UNLESS_WITHIN
from detectors.keywords.hashed import HashedWords, _scan
from detectors.keywords.patterns import Patterns, PlanColumns
from detectors.keywords.placed import ranges
from detectors.normalise.compiled import fold_row, near_points, room_of
from detectors.normalise.tables.fold import FoldTable

Longs = npt.NDArray[np.int64]

_LONGEST: Final = 2048
"""Bytes of the longest row whose hits are looked at here."""
_MOST: Final = 128
"""Hits by list of a row that are looked at, each beside each other."""


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


@njit(cache=True, nogil=True, boundscheck=False)
def _may_speak(
    lists: Any, start: Any, end: Any, sure: Any, held: Any, near: Any, count: Any, within: Any, allow: Any, unless: Any,
    by_words: Any, owned: Any,
) -> Any:  # fmt: skip
    """Whether one of ``held`` hits can be one of a rule: in no allow-phrase, near no exception and near its groups.

    More than one group is near what the ones before have made of a hit: the others need only be in the row.
    """
    for hit in range(held):
        for k in range(owned[lists[hit]], owned[lists[hit] + 1]):
            plan = by_words[k]
            group = near[plan, 0] if near.shape[1] else count
            met = group == count
            spoken = True
            for other in range(held):
                beside = lists[other]
                if beside == group:
                    after, before = start[other] - end[hit], start[hit] - end[other]
                    met |= 0 <= max(after, before) <= within[plan]
                if sure[other]:
                    if beside == allow[plan] and start[other] <= start[hit] and end[other] >= end[hit]:
                        spoken = False
                    if (
                        beside == unless[plan]
                        and start[other] < end[hit] + UNLESS_WITHIN
                        and end[other] > start[hit] - UNLESS_WITHIN
                    ):
                        spoken = False
            for depth in range(1, near.shape[1]):
                group = near[plan, depth]
                there = group == count
                for other in range(held):
                    there |= lists[other] == group
                met &= there
            if met and spoken:
                return True
    return False


@njit(cache=True, nogil=True, boundscheck=False)
def _look_at(
    data: Any, offsets: Any, rows: Any, folded: Any, near_table: Any, sign_points: Any, expansions: Any, begins: Any,
    split: Any, split_keys: Any, split_values: Any, repeats: Any, points: Any, of_word: Any, own: Any, sure_own: Any,
    near: Any, count: Any, within: Any, allow: Any, unless: Any, by_words: Any, owned: Any, state: Any, signs: Any,
    shift: Any, pairs: Any, triples: Any, singles: Any, keys: Any, numbers: Any, borders: Any, words: Any, heads: Any,
    letters: Any,
) -> None:  # fmt: skip
    """Set ``state`` by row: 1 if a rule may have a hit, 2 if the row is not looked at; ``signs``: holds a sign."""
    every = np.empty(0, np.int64)
    found = np.empty((1024, 3), np.int64)
    lists, start, end = np.empty(_MOST, np.int64), np.empty(_MOST, np.int64), np.empty(_MOST, np.int64)
    sure = np.empty(_MOST, np.bool_)
    for number in range(rows.shape[0]):
        low, high = offsets[rows[number]], offsets[rows[number] + 1]
        size, signs[number] = fold_row(
            data, low, high, folded, near_table, sign_points, expansions, begins, split, split_keys, split_values,
            repeats, points,
        )  # fmt: skip
        if high - low > _LONGEST:
            state[number] = 2
            continue
        points[size] = 0
        points[size + 1] = 0
        found, hits = _scan(
            points, size, 0, 0, found, every, shift, pairs, triples, singles, keys, numbers, borders, words, heads,
            letters,
        )  # fmt: skip
        held = 0
        for hit in range(hits):
            word = found[hit, 0]
            for k in range(of_word[word], of_word[word + 1]):
                if held < _MOST:
                    lists[held], sure[held] = own[k], sure_own[k]
                    start[held], end[held] = found[hit, 1], found[hit, 1] + heads[word + 1] - heads[word]
                held += 1
        state[number] = 2
        if held <= _MOST:
            state[number] = _may_speak(
                lists, start, end, sure, held, near, count, within, allow, unless, by_words, owned
            )  # fmt: skip


class Company:
    """What stands beside a hit: for each of a scanner's words its lists, and whether its hits always count.

    A hit of a word that begins or ends with a Latin letter or digit, or has a character doubled, may not be one:
    nothing is left out on its account. ``first`` as ``Scanner`` has it.
    """

    def __init__(self, patterns: Patterns, first: Longs) -> None:
        self._columns = patterns.columns
        certain = (patterns.left == 0) & (patterns.right == 0) & ~patterns.doubled
        at, key = ranges(patterns.borders[:-1], patterns.borders[1:])
        self._of_word = patterns.borders[first]
        self._own = patterns.lists[at].astype(np.int64)
        self._sure = certain[key]

    def look_at(
        self,
        data: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int32],
        rows: Longs,
        table: FoldTable,
        repeats: bool,
        words: HashedWords,
    ) -> tuple[Longs, Longs, Longs]:
        """Return of some rows of a column of valid UTF-8 those in which a rule may have a hit, those too long or too
        full of hits to be looked at here, and those with a sign that has a second reading.
        """
        state, signs = np.zeros(len(rows), np.int8), np.zeros(len(rows), np.bool_)
        columns = self._columns
        _look_at(
            data, offsets, rows, table.points, near_points(table), table.signs, table.expansions, table.borders,
            table.heads, table.pairs, table.joined, repeats, np.empty(room_of(offsets) + 2, np.uint32), self._of_word,
            self._own, self._sure, columns.near, columns.count, columns.within, columns.allow, columns.unless,
            columns.by_words, columns.owned, state, signs, *words._file,
        )  # fmt: skip
        return rows[state == 1], rows[state == 2], rows[signs]
