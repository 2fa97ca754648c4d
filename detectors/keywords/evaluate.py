"""From hits of words to hits of rules: repeats, boundaries, allow-phrases, what must or must not stand near.

Positions are indexes of tokens in the view of a column; rows lie end to end, so that sorting by position sorts by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detectors.keywords.boundaries import WINDOW, Window, overlap_words
from detectors.keywords.patterns import Patterns, RulePlan
from detectors.keywords.rules import Boundary
from detectors.normalise.tables.fold import FoldTable
from detectors.normalise.view import Points, View

Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UNLESS_WITHIN: Final = 30
"""Characters within which a rule's exceptions count."""
PATTERN_WITHIN: Final = 64
"""Characters on each side of a word in which a rule's pattern is looked for."""
MAX_HITS: Final = 16
"""Hits kept of one rule in one text."""
FIRST_ROUND: Final = 4 * MAX_HITS
"""Hits of one rule in one text whose boundaries are judged before it is asked whether more are needed."""
AUTO_LENGTH: Final = 3
"""Longest Chinese word whose boundaries are checked by themselves."""
_SENTENCE: Final = frozenset("。，、！？；：.,!?;:\n\r…")


@dataclass(frozen=True, slots=True)
class Spans:
    """Token spans [start, end) in ascending order of start."""

    start: Longs
    end: Longs

    def take(self, which: Bools | Longs) -> Spans:
        return Spans(self.start[which], self.end[which])


@dataclass(frozen=True, slots=True)
class RuleHits:
    """Hits of one rule."""

    plan: RulePlan
    spans: Spans


class Evaluation:
    """Judges the hits in one view; ``points`` and ``rows`` are the original column's."""

    def __init__(self, patterns: Patterns, seen: View, points: Points, rows: Longs, table: FoldTable) -> None:
        self.patterns, self.seen, self.points, self.rows, self.table = patterns, seen, points, rows, table
        self.row_of = np.repeat(np.arange(len(seen.rows) - 1, dtype=np.int64), np.diff(seen.rows))
        self._folded: str | None = None

    def rules(self, key: Longs, start: Longs, end: Longs) -> list[RuleHits]:
        """Return the hits of all rules, given hits of keys (numbers into ``patterns.keys``) as token spans."""
        inside = self.row_of[start] == self.row_of[end - 1] if len(start) else np.zeros(0, np.bool_)
        key, start, end = key[inside], start[inside], end[inside]
        keep = self._repeated_enough(key, start) & self._not_continued(key, start, end)
        key, start, end = key[keep], start[keep], end[keep]
        size = self.patterns.borders[key + 1] - self.patterns.borders[key]
        source = np.repeat(np.arange(len(key)), size)
        within = np.arange(len(source)) - np.repeat(np.cumsum(size) - size, size)
        lists = self.patterns.lists[self.patterns.borders[key][source] + within]
        order = np.lexsort((end[source], start[source], lists))
        lists, source = lists[order], source[order]
        borders = np.flatnonzero(np.diff(lists, prepend=-1, append=-1))
        found = {
            int(lists[low]): Spans(start[source[low:high]], end[source[low:high]])
            for low, high in pairwise(borders.tolist())
        } if len(lists) else {}  # fmt: skip
        out = []
        for plan in self.patterns.plans_of(found):
            spans = self._judge(plan, found)
            if len(spans.start):
                out.append(RuleHits(plan, spans))
        return out

    def _repeated_enough(self, key: Longs, start: Longs) -> Bools:
        """A key with doubled characters needs them doubled; without the step ``repeats`` all runs are one."""
        keep = np.ones(len(key), np.bool_)
        for number in np.unique(key):
            needed = self.patterns.runs[number]
            if needed is not None:
                which = np.flatnonzero(key == number)
                at = start[which, None] + np.arange(len(needed))
                keep[which] = (self.seen.run[at] >= np.array(needed)).all(axis=1)
        return keep

    def _not_continued(self, key: Longs, start: Longs, end: Longs) -> Bools:
        """Latin letters and digits at a key's ends must not go on in the original."""
        left, right = self.patterns.left[key], self.patterns.right[key]
        row = self.row_of[start]
        before = self.rows[row] + self.seen.start[start] - 1
        after = self.rows[row] + self.seen.end[end - 1]
        kind_before = np.where(before >= self.rows[row], self._kind(np.maximum(before, 0)), 0)
        kind_after = np.where(after < self.rows[row + 1], self._kind(np.minimum(after, len(self.points) - 1)), 0)
        keep = ((left == 0) | (kind_before != left)) & ((right == 0) | (kind_after != right))
        return np.asarray(keep, np.bool_)

    def _kind(self, at: Longs) -> npt.NDArray[np.int8]:
        """1 for Latin letters, 2 for digits, 0 for the rest, as folded."""
        folded = self.table.points[self.points[at]]
        letter = ((folded | 0x20) >= 97) & ((folded | 0x20) <= 122)
        digit = (folded >= 48) & (folded <= 57)
        return np.where(letter, 1, np.where(digit, 2, 0)).astype(np.int8)

    def _judge(self, plan: RulePlan, found: dict[int, Spans]) -> Spans:
        spans = found[plan.words]
        if plan.allow in found:
            spans = spans.take(~_held(spans, found[plan.allow]))
        if plan.unless in found and len(spans.start):
            spans = spans.take(~self._any_near(spans, found[plan.unless], UNLESS_WITHIN))
        # Segmenting costs most, so it comes after what is near; the word's own span is what it judges.
        words = spans
        for group in plan.near:
            if len(spans.start):
                spans, kept = self._joined(spans, found[group], plan.rule.within)
                words = words.take(kept)
        if not len(spans.start):
            return spans
        if not plan.rule.pattern:
            return self._first_bounded(plan, spans, words)
        spans = spans.take(self._bounded(plan, words))
        return self._first(self._matched(plan, spans)) if len(spans.start) else spans

    def _first_bounded(self, plan: RulePlan, spans: Spans, words: Spans) -> Spans:
        """``_first`` of the spans whose words' boundaries hold.

        A row with many is judged in rounds, until it has enough: with spans ascending, what comes later in a row cannot
        change which are the first.
        """
        if len(spans.start) <= FIRST_ROUND:
            return self._first(spans.take(self._bounded(plan, words)))
        order = np.lexsort((-spans.end, spans.start))
        spans, words = spans.take(order), words.take(order)
        row = self.row_of[spans.start]
        place = np.arange(len(row)) - np.searchsorted(row, row, side="left")
        kept = np.zeros(len(row), np.bool_)
        low, high = 0, FIRST_ROUND
        while low <= place.max():
            enough = np.bincount(self.row_of[self._first(spans.take(kept)).start], minlength=len(self.rows)) >= MAX_HITS
            which = np.flatnonzero((place >= low) & (place < high) & ~enough[row])
            kept[which] = self._bounded(plan, words.take(which))
            low, high = high, 8 * high
        return self._first(spans.take(kept))

    def _any_near(self, spans: Spans, others: Spans, distance: int) -> Bools:
        row = self.row_of[spans.start]
        low = np.maximum(spans.start - distance, self.seen.rows[row])
        high = np.minimum(spans.end + distance, self.seen.rows[row + 1])
        begun = np.searchsorted(others.start, high, side="left")
        ended = np.searchsorted(np.sort(others.end), low, side="right")
        return np.asarray(begun > ended)

    def _joined(self, spans: Spans, others: Spans, distance: int) -> tuple[Spans, Bools]:
        """Extend each span over the nearest of ``others`` in its row; drop those with none within ``distance``.

        Returns the spans that are left and which of the given ones they are.
        """
        after = np.searchsorted(others.start, spans.end, side="left")
        has_after = after < len(others.start)
        after = np.minimum(after, len(others.start) - 1)
        gap_after = np.where(has_after, others.start[after] - spans.end, np.iinfo(np.int64).max)
        by_end = np.argsort(others.end, kind="stable")
        before = np.searchsorted(others.end[by_end], spans.start, side="right") - 1
        has_before = before >= 0
        before = by_end[np.maximum(before, 0)]
        gap_before = np.where(has_before, spans.start - others.end[before], np.iinfo(np.int64).max)
        row = self.row_of[spans.start]
        gap_after[self.row_of[others.start[after]] != row] = np.iinfo(np.int64).max
        gap_before[self.row_of[others.start[before]] != row] = np.iinfo(np.int64).max
        near = np.minimum(gap_after, gap_before) <= distance
        use_after = gap_after <= gap_before
        start = np.where(use_after, spans.start, np.minimum(spans.start, others.start[before]))
        end = np.where(use_after, np.maximum(spans.end, others.end[after]), spans.end)
        return Spans(start[near], end[near]), near

    def _bounded(self, plan: RulePlan, spans: Spans) -> Bools:
        keep = np.ones(len(spans.start), np.bool_)
        boundary = plan.rule.boundary
        if boundary in (Boundary.NONE, Boundary.LATIN):
            return keep
        size = spans.end - spans.start
        asked = np.flatnonzero(size <= AUTO_LENGTH) if boundary is not Boundary.WORD else np.arange(len(size))
        keep[asked] = ~np.array(overlap_words(self._windows(spans.take(asked))), np.bool_)
        return keep

    def _windows(self, spans: Spans) -> list[Window]:
        """Return the text around each span; noise inside a span is taken out, a sentence's end is not."""
        row = self.row_of[spans.start]
        low, high = self.rows[row], self.rows[row + 1]
        first, last = low + self.seen.start[spans.start], low + self.seen.end[spans.end - 1]
        left, right = np.maximum(low, first - WINDOW), np.minimum(high, last + WINDOW)
        noisy = last - first > spans.end - spans.start
        text = self._plain()
        windows = [
            (text[a:d], b - a, c - a)
            for a, b, c, d in zip(left.tolist(), first.tolist(), last.tolist(), right.tolist(), strict=True)
        ]
        for i in np.flatnonzero(noisy).tolist():
            window, start, end = windows[i]
            if _SENTENCE.isdisjoint(window[start:end]):
                middle = self.seen.tokens[spans.start[i] : spans.end[i]].tobytes().decode("utf-32-le")
                windows[i] = (window[:start] + middle + window[end:], start, start + len(middle))
        return windows

    def _plain(self) -> str:
        """Original code points with each letter folded and everything else as it is."""
        if self._folded is None:
            folded = self.table.points[self.points]
            kept = np.where((folded == 0) | (folded >= len(self.table.points)), self.points, folded)
            self._folded = kept.astype(np.uint32).tobytes().decode("utf-32-le", "replace")
        return self._folded

    def _matched(self, plan: RulePlan, spans: Spans) -> Spans:
        row = self.row_of[spans.start]
        low = np.maximum(spans.start - PATTERN_WITHIN, self.seen.rows[row])
        high = np.minimum(spans.end + PATTERN_WITHIN, self.seen.rows[row + 1])
        windows = [
            self.seen.tokens[a:b].tobytes().decode("utf-32-le")
            for a, b in zip(low.tolist(), high.tolist(), strict=True)
        ]
        found = pc.extract_regex_span(pa.array(windows, pa.string()), f"(?P<hit>{plan.rule.pattern})")
        start, end = [], []
        for at, window, match in zip(low.tolist(), windows, found.to_pylist(), strict=True):
            # \b and its like match between characters: nothing to show.
            if match is not None and match["hit"][1]:
                offset, size = match["hit"]
                lead = len(window.encode()[:offset].decode())
                body = len(window.encode()[offset : offset + size].decode())
                start.append(at + lead)
                end.append(at + lead + body)
        return Spans(np.array(start, np.int64), np.array(end, np.int64))

    def _first(self, spans: Spans) -> Spans:
        """Of overlapping spans the first and longest, at most ``MAX_HITS`` a row."""
        order = np.lexsort((-spans.end, spans.start))
        spans = spans.take(order)
        reach = np.maximum.accumulate(spans.end) if len(spans.end) else spans.end
        fresh = np.ones(len(spans.start), np.bool_)
        fresh[1:] = spans.start[1:] >= reach[:-1]
        spans = spans.take(fresh)
        row = self.row_of[spans.start]
        first = np.searchsorted(row, row, side="left")
        return spans.take(np.arange(len(row)) - first < MAX_HITS)


def _held(spans: Spans, others: Spans) -> Bools:
    """Which spans lie inside one of ``others``."""
    reach = np.maximum.accumulate(others.end)
    at = np.searchsorted(others.start, spans.start, side="right") - 1
    return np.asarray((at >= 0) & (reach[np.maximum(at, 0)] >= spans.end))
