"""Which words a row is scanned for first: of what each rule asks for together, the list that fewest rows hold.

A rule of words and of groups near them has no hit in a row that lacks either. So one of its lists is enough to pass a
row over, and the rarest passes over most; only what holds one of those is scanned for all words. Which lists are rare
is counted in the traffic itself, anew whenever twice as many rows have been seen, as no text written beforehand is
like every platform's. What is found does not depend on the choice.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from detectors.keywords.matcher import ColumnMatcher, matcher_for
from detectors.keywords.patterns import Patterns
from detectors.keywords.placed import ranges

Longs = npt.NDArray[np.int64]


class Anchors:
    """Chooses among the lists of ``patterns``; ``words``, scanned by ``every``, own keys ``borders[w]:borders[w+1]``.

    ``matcher`` scans for the words of the chosen lists.
    """

    def __init__(self, patterns: Patterns, borders: Longs, words: list[str], every: ColumnMatcher) -> None:
        self._patterns, self._borders, self._words, self._every = patterns, borders, words, every
        columns = patterns.columns
        asked = np.column_stack([columns.words, columns.near])
        # A rule that names a group without words never has a hit.
        self._asked = asked[(asked >= 0).all(axis=1)]
        self._held = np.zeros(columns.count + 1, np.float64)
        self._held[columns.count] = np.inf
        self._seen, self._next = 0, 1
        self._lock = threading.Lock()
        self._chosen = self._choice()
        self.matcher = self._built()

    def due(self, rows: int) -> bool:
        """Count ``rows`` more; return whether it is time to learn."""
        with self._lock:
            self._seen += rows
            if self._seen < self._next:
                return False
            self._next = 2 * self._seen
            return True

    def learn(self, word: Longs, row: Longs, rows: int) -> None:
        """Take in all hits of some rows (words' numbers and their rows, each once) and choose anew."""
        low, high = self._borders[word], self._borders[word + 1]
        at, source = ranges(self._patterns.borders[low], self._patterns.borders[high])
        held = np.unique(self._patterns.lists[at] * np.int64(rows) + row[source])
        with self._lock:
            self._held[:-1] += np.bincount(held // max(rows, 1), minlength=len(self._held) - 1)
            chosen = self._choice()
            if not np.array_equal(chosen, self._chosen):
                self._chosen = chosen
                self.matcher = self._built()

    def _choice(self) -> Longs:
        """Of the lists of each rule the one held by fewest rows; of equals the rule's words."""
        which = self._held[self._asked].argmin(axis=1)
        return np.unique(self._asked[np.arange(len(which)), which])

    def _built(self) -> ColumnMatcher:
        chosen = np.concatenate([[0], np.cumsum(np.isin(self._patterns.lists, self._chosen))])
        by_key = self._patterns.borders
        counts = chosen[by_key[self._borders[1:]]] - chosen[by_key[self._borders[:-1]]]
        kept = np.flatnonzero(counts)
        if len(kept) in (0, len(self._words)):
            return self._every
        return matcher_for([self._words[w] for w in kept.tolist()])
