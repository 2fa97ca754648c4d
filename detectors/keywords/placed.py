"""Hits of words in order of their lists and places: what holds, what is near, what comes first, for many rules at once.

Lists lie end to end on one line: what stands at token ``t`` is at ``list * step + t``, so that one sorted array answers
for all lists. Positions are indexes of tokens in the view of a column, whose rows lie end to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_FAR: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Spans:
    """Token spans [start, end) of rules; ``own`` is the number of each one's plan."""

    own: Longs
    start: Longs
    end: Longs

    def __len__(self) -> int:
        return len(self.own)

    def take(self, which: Bools | Longs) -> Spans:
        return Spans(self.own[which], self.start[which], self.end[which])

    def first(self, row_of: Longs, most: int) -> Longs:
        """Of overlapping spans of a rule the first and longest, at most ``most`` of a rule in a row.

        Returns their numbers, by rule and place; ``row_of`` gives each token's row.
        """
        order = np.lexsort((-self.end, self.start, self.own))
        own, start, end = self.own[order], self.start[order], self.end[order]
        shift = own * (len(row_of) + 1)
        reach = np.maximum.accumulate(end + shift)
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (start + shift)[1:] >= reach[:-1]
        order = order[fresh]
        return order[place_in_group(self.own[order], row_of[self.start[order]]) < most]


def place_in_group(own: Longs, row: Longs) -> Longs:
    """How many of the same rule and row stand before each, given in order of these."""
    begins = np.ones(len(own), np.bool_)
    begins[1:] = (own[1:] != own[:-1]) | (row[1:] != row[:-1])
    first = np.flatnonzero(begins)
    return np.arange(len(own)) - np.repeat(first, np.diff(np.append(first, len(own))))


def ranges(low: Longs, high: Longs) -> tuple[Longs, Longs]:
    """Write out ranges [low, high): the numbers in them, and from which range each came."""
    size = high - low
    source = np.repeat(np.arange(len(low)), size)
    return low[source] + np.arange(len(source)) - np.repeat(np.cumsum(size) - size, size), source


class Placed:
    """Token spans by list; list ``n`` has ``borders[n]:borders[n+1]`` of them, ascending by start and end."""

    def __init__(self, lists: Longs, start: Longs, end: Longs, count: int, row_of: Longs) -> None:
        """Take ``count`` lists' spans in any order; ``row_of`` gives each token's row."""
        order = np.lexsort((end, start, lists))
        lists, self.start, self.end = lists[order], start[order], end[order]
        self._row = row_of[self.start]
        self._step = len(row_of) + 1
        self.borders = np.searchsorted(lists, np.arange(count + 1))
        self._starts = lists * self._step + self.start
        ends = lists * self._step + self.end
        # A later list's places are all greater, so what one list reaches never counts for the next.
        self._reach = np.maximum.accumulate(ends)
        self._by_end = np.argsort(ends, kind="stable")
        self._ends = ends[self._by_end]

    @property
    def held(self) -> Bools:
        """Which lists have spans."""
        return np.diff(self.borders) > 0

    def hold(self, spans: Spans, lists: Longs) -> Bools:
        """Which spans lie inside one of their list (a number a span; -1 holds nothing)."""
        base = lists * self._step
        at = np.searchsorted(self._starts, base + spans.start, side="right") - 1
        inside = (lists >= 0) & (at >= self.borders[lists])
        return np.asarray(inside & (self._reach[np.maximum(at, 0)] >= base + spans.end))

    def reach_into(self, lists: Longs, low: Longs, high: Longs) -> Bools:
        """In which of the stretches [low, high) of tokens some of the list's spans lie at least in part."""
        base = lists * self._step
        begun = np.searchsorted(self._starts, base + high, side="left")
        ended = np.searchsorted(self._ends, base + low, side="right")
        return np.asarray((lists >= 0) & (begun > ended))

    def joined(self, spans: Spans, lists: Longs, within: Longs, row_of: Longs) -> tuple[Spans, Bools]:
        """Extend each span over the nearest of its list in its row; drop those with none ``within`` that many tokens.

        Every list named must have spans. Returns the spans that are left and which of the given ones they are.
        """
        base, row, last = lists * self._step, row_of[spans.start], len(self.start) - 1
        after = np.searchsorted(self._starts, base + spans.end, side="left")
        has_after = after < self.borders[lists + 1]
        after = np.minimum(after, last)
        gap_after = np.where(has_after & (self._row[after] == row), self.start[after] - spans.end, _FAR)
        before = np.searchsorted(self._ends, base + spans.start, side="right") - 1
        has_before = before >= self.borders[lists]
        before = self._by_end[np.maximum(before, 0)]
        gap_before = np.where(has_before & (self._row[before] == row), spans.start - self.end[before], _FAR)
        near = np.minimum(gap_after, gap_before) <= within
        use_after = gap_after <= gap_before
        start = np.where(use_after, spans.start, np.minimum(spans.start, self.start[before]))
        end = np.where(use_after, np.maximum(spans.end, self.end[after]), spans.end)
        return Spans(spans.own[near], start[near], end[near]), near
