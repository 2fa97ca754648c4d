"""The keyword detector: normalise a column, scan it once, and judge what the scan found."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.keywords.evaluate import Evaluation
from detectors.keywords.findings import Found, found_in, judged
from detectors.keywords.matcher import Matcher, matcher_for
from detectors.keywords.packset import PackSet
from detectors.keywords.patterns import Patterns, compile_patterns
from detectors.keywords.rules import State
from detectors.normalise.steps import ALL_STEPS, Steps
from detectors.normalise.tables.fold import fold_table
from detectors.normalise.view import View, code_points, view

Longs = npt.NDArray[np.int64]

MAX_SCANNERS: Final = 8
"""Automata kept; the oldest goes when a changed pack brings one more."""
THRESHOLD: Final = 0.5
"""A text is illegal where its hits of one category come to this score."""


@dataclass(frozen=True, slots=True)
class _Scanner:
    """Patterns and their automaton; ``first[k]:first[k+1]`` are the patterns of the automaton's word ``k``."""

    patterns: Patterns
    matcher: Matcher
    first: Longs


_scanners: dict[tuple[str, State, Steps], _Scanner] = {}
_building = threading.Lock()


def _scanner(packs: PackSet, state: State, steps: Steps) -> _Scanner:
    key = (packs.version, state, steps)
    with _building:
        if key not in _scanners:
            while len(_scanners) >= MAX_SCANNERS:
                del _scanners[next(iter(_scanners))]
            patterns = compile_patterns(packs.in_state(state), steps)
            words = list(dict.fromkeys(patterns.keys))
            first = np.searchsorted(np.array(patterns.keys), np.array(words)) if words else np.zeros(0, np.int64)
            _scanners[key] = _Scanner(patterns, matcher_for(words), np.append(first, len(patterns.keys)))
        return _scanners[key]


class KeywordDetector:
    """Finds the words of rule packs in a column of text, however they are disguised.

    A text's score in a category is ``1 - (1 - w1)(1 - w2)…`` over the weights of the distinct rules that hit; findings
    are returned for the categories in which it reaches ``threshold``. Automata live in the module, so that a
    detector pickles as its rules and workers of one process share one automaton.
    """

    def __init__(self, packs: PackSet, steps: Steps = ALL_STEPS, threshold: float = THRESHOLD) -> None:
        self._packs = packs
        self._steps = steps
        self._threshold = threshold

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._packs, self._steps, self._threshold)

    @property
    def version(self) -> str:
        """The packs' version."""
        return self._packs.version

    @property
    def packs(self) -> PackSet:
        """The rules."""
        return self._packs

    def detect(self, texts: pa.StringArray) -> pa.RecordBatch:
        """Findings of live rules, where they suffice to call a text illegal."""
        return self._findings(texts, State.LIVE, self._threshold)

    def evidence(self, texts: pa.StringArray, state: State = State.LIVE) -> pa.RecordBatch:
        """Every hit of the rules in ``state``, sufficient or not."""
        return self._findings(texts, state, 0.0)

    def _findings(self, texts: pa.StringArray, state: State, threshold: float) -> pa.RecordBatch:
        scanner = _scanner(self._packs, state, self._steps)
        parts = [self._read(texts, np.arange(len(texts)), scanner, signs_as_words=False)]
        return judged(parts, threshold, self.version)

    def _read(self, texts: pa.StringArray, rows: Longs, scanner: _Scanner, *, signs_as_words: bool) -> Found:
        """Hits of rules in one reading of ``texts``; ``rows`` are their places in the scanned column."""
        table = fold_table(self._steps, signs_as_words=signs_as_words)
        points, borders = code_points(texts)
        seen = view(points, borders, table, repeats=self._steps.repeats)
        word, start, end = self._scan(seen, scanner)
        size = scanner.first[word + 1] - scanner.first[word]
        source = np.repeat(np.arange(len(word)), size)
        within = np.arange(len(source)) - np.repeat(np.cumsum(size) - size, size)
        key = scanner.first[word][source] + within
        hits = Evaluation(scanner.patterns, seen, points, borders, table).rules(key, start[source], end[source])
        return found_in(hits, seen, points, borders, rows)

    def _scan(self, seen: View, scanner: _Scanner) -> tuple[Longs, Longs, Longs]:
        """Hits of the automaton's words as token spans."""
        encoded = seen.text().encode()
        word, start, end = scanner.matcher.find(encoded)
        if scanner.matcher.unit == "byte" and len(word):
            heads = np.flatnonzero((np.frombuffer(encoded, np.uint8) & 0xC0) != 0x80)
            start, end = np.searchsorted(heads, start), np.searchsorted(heads, end)
        return word, start, end
