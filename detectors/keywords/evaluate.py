"""From hits of words to hits of rules: repeats, boundaries, allow-phrases, what must or must not stand near.

Positions are indexes of tokens in the view of a column; rows lie end to end, so that sorting by position sorts by row.
All rules are judged together: what one pass costs does not grow with how many rules had a hit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detectors.keywords.boundaries import WINDOW, Window, overlap_words
from detectors.keywords.patterns import Patterns
from detectors.keywords.placed import Placed, Spans, place_in_group, ranges
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
_SENTENCE: Final = frozenset("。，、！？；：.,!?;:\n\r…")


class Evaluation:
    """Judges the hits in one view; ``points`` and ``rows`` are the original column's."""

    def __init__(self, patterns: Patterns, seen: View, points: Points, rows: Longs, table: FoldTable) -> None:
        self.patterns, self.seen, self.points, self.rows, self.table = patterns, seen, points, rows, table
        self.row_of = np.repeat(np.arange(len(seen.rows) - 1, dtype=np.int64), np.diff(seen.rows))
        self._folded: str | None = None

    def rules(self, key: Longs, start: Longs, end: Longs) -> Spans:
        """Return the hits of all rules, given hits of keys (numbers into ``patterns.keys``) as token spans."""
        inside = self.row_of[start] == self.row_of[end - 1] if len(start) else np.zeros(0, np.bool_)
        key, start, end = key[inside], start[inside], end[inside]
        keep = self._repeated_enough(key, start)
        key, start, end = key[keep], start[keep], end[keep]
        at, source = ranges(self.patterns.borders[key], self.patterns.borders[key + 1])
        columns = self.patterns.columns
        lists = self.patterns.lists[at].astype(np.int64)
        keep = columns.free[lists] | self._not_continued(key, start, end)[source]
        lists, source = lists[keep], source[keep]
        placed = Placed(lists, start[source], end[source], columns.count, self.row_of)
        plans = columns.active(placed.held)
        spoken = columns.words[plans]
        at, own = ranges(placed.borders[spoken], placed.borders[spoken + 1])
        spans, words = self._in_company(Spans(plans[own], placed.start[at], placed.end[at]), placed)
        if not len(spans):
            return spans
        asked = np.flatnonzero(columns.pattern[spans.own])
        free = np.flatnonzero(~columns.pattern[spans.own])
        bare = self._first_bounded(spans.take(free), words.take(free))
        if not len(asked):
            return bare
        asked = asked[self._bounded(words.take(asked))]
        drawn = self._matched(spans.take(asked))
        drawn = drawn.take(drawn.first(self.row_of, MAX_HITS))
        return Spans(*(np.concatenate(pair) for pair in zip(_columns(bare), _columns(drawn), strict=True)))

    def _in_company(self, spans: Spans, placed: Placed) -> tuple[Spans, Spans]:
        """Spans of words that no allow-phrase holds and no exception is near, extended over what must be near.

        Returns them and the spans of the words themselves, which boundaries are judged by.
        """
        columns = self.patterns.columns
        spans = spans.take(~placed.hold(spans, columns.allow[spans.own]))
        row = self.row_of[spans.start]
        low = np.maximum(spans.start - UNLESS_WITHIN, self.seen.rows[row])
        high = np.minimum(spans.end + UNLESS_WITHIN, self.seen.rows[row + 1])
        spans = spans.take(~placed.reach_into(columns.unless[spans.own], low, high))
        # Segmenting costs most, so it comes after what is near; the word's own span is what it judges.
        words = spans
        for depth in range(columns.near.shape[1]):
            lists = columns.near[spans.own, depth]
            which = np.flatnonzero(lists < columns.count)
            if not len(which):
                break
            some = spans.take(which)
            wider, near = placed.joined(some, lists[which], columns.within[some.own], self.row_of)
            kept = np.ones(len(spans), np.bool_)
            kept[which[~near]] = False
            start, end = spans.start.copy(), spans.end.copy()
            start[which[near]], end[which[near]] = wider.start, wider.end
            spans, words = Spans(spans.own, start, end).take(kept), words.take(kept)
        return spans, words

    def _repeated_enough(self, key: Longs, start: Longs) -> Bools:
        """A key with doubled characters needs them doubled; without the step ``repeats`` all runs are one."""
        keep = np.ones(len(key), np.bool_)
        doubled = self.patterns.doubled[key]
        for number in np.unique(key[doubled]).tolist():
            needed = self.patterns.runs[number]
            which = np.flatnonzero(key == number)
            at = start[which, None] + np.arange(len(needed or ()))
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

    def _first_bounded(self, spans: Spans, words: Spans) -> Spans:
        """The first spans of each rule and row, of those whose words' boundaries hold.

        A row with many is judged in rounds, until it has enough: with spans ascending, what comes later in a row cannot
        change which are the first.
        """
        if not len(spans):
            return spans
        order = np.lexsort((-spans.end, spans.start, spans.own))
        spans, words = spans.take(order), words.take(order)
        row = self.row_of[spans.start]
        place = place_in_group(spans.own, row)
        group = np.cumsum(place == 0) - 1
        kept = np.zeros(len(row), np.bool_)
        low, high, most = 0, FIRST_ROUND, int(place.max())
        while True:
            which = (place >= low) & (place < high)
            if low:
                begun = np.flatnonzero(kept)
                found = begun[spans.take(begun).first(self.row_of, MAX_HITS)]
                which &= (np.bincount(group[found], minlength=group[-1] + 1) < MAX_HITS)[group]
            asked = np.flatnonzero(which)
            kept[asked] = self._bounded(words.take(asked))
            if high > most:
                break
            low, high = high, 8 * high
        spans = spans.take(kept)
        return spans.take(spans.first(self.row_of, MAX_HITS))

    def _bounded(self, words: Spans) -> Bools:
        keep = np.ones(len(words), np.bool_)
        longest = self.patterns.columns.longest[words.own]
        asked = np.flatnonzero(words.end - words.start <= longest)
        keep[asked] = ~np.array(overlap_words(self._windows(words.take(asked))), np.bool_)
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

    def _matched(self, spans: Spans) -> Spans:
        """Where the patterns of the spans' rules match near them; spans without a match are dropped."""
        row = self.row_of[spans.start]
        low = np.maximum(spans.start - PATTERN_WITHIN, self.seen.rows[row])
        high = np.minimum(spans.end + PATTERN_WITHIN, self.seen.rows[row + 1])
        own, start, end = [], [], []
        for number in np.unique(spans.own).tolist():
            which = np.flatnonzero(spans.own == number)
            windows = [
                self.seen.tokens[a:b].tobytes().decode("utf-32-le")
                for a, b in zip(low[which].tolist(), high[which].tolist(), strict=True)
            ]
            pattern = self.patterns.plans[number].rule.pattern
            found = pc.extract_regex_span(pa.array(windows, pa.string()), f"(?P<hit>{pattern})")
            for at, window, match in zip(low[which].tolist(), windows, found.to_pylist(), strict=True):
                # \b and its like match between characters: nothing to show.
                if match is not None and match["hit"][1]:
                    offset, size = match["hit"]
                    lead = len(window.encode()[:offset].decode())
                    body = len(window.encode()[offset : offset + size].decode())
                    own.append(number)
                    start.append(at + lead)
                    end.append(at + lead + body)
        return Spans(np.array(own, np.int64), np.array(start, np.int64), np.array(end, np.int64))


def _columns(spans: Spans) -> tuple[Longs, Longs, Longs]:
    return spans.own, spans.start, spans.end
