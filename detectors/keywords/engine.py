"""The keyword detector: normalise a column, scan it once, and judge what the scan found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.keywords.evaluate import Evaluation
from detectors.keywords.findings import NOTHING, Found, found_in, judged
from detectors.keywords.packset import PackSet
from detectors.keywords.rules import State
from detectors.keywords.scanner import Scanner, scanner_of
from detectors.normalise.column import Folded, fold_column
from detectors.normalise.steps import ALL_STEPS, Steps
from detectors.normalise.tables.fold import Reading, fold_table
from detectors.normalise.view import code_points, string_buffers, view

Longs = npt.NDArray[np.int64]

SLICE: Final = 16 << 20
"""Bytes of a column worked on at once."""
THRESHOLD: Final = 0.5
"""A text is illegal where its hits of one category come to this score."""


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
        parts: list[Found] = []
        plain = scanner_of(self._packs, state, self._steps, Reading.PLAIN)
        sound = scanner_of(self._packs, state, self._steps, Reading.SOUND)
        for low, piece in _slices(texts):
            folded = self._fold(piece, Reading.PLAIN)
            parts.append(self._hits(piece, low, folded, plain))
            signs = np.flatnonzero(folded.signs)
            if len(signs):
                held = piece.take(pa.array(signs))
                parts.append(self._hits(held, low + signs, self._fold(held, Reading.SIGNS), plain, Reading.SIGNS))
            if sound.patterns.keys:
                parts.append(self._hits(piece, low, self._fold(piece, Reading.SOUND), sound, Reading.SOUND))
        return judged(parts, threshold)

    def _fold(self, texts: pa.StringArray, reading: Reading) -> Folded:
        return fold_column(texts, fold_table(self._steps, reading), repeats=self._steps.repeats)

    def _hits(
        self,
        texts: pa.StringArray,
        places: int | Longs,
        folded: Folded,
        scanner: Scanner,
        reading: Reading = Reading.PLAIN,
    ) -> Found:
        """Hits of rules in one reading of ``texts``; ``places`` are their rows in the column, or that of the first."""
        word, start, end = scanner.matcher.find(folded.data)
        borders = folded.byte_rows if scanner.matcher.unit == "byte" else folded.char_rows
        row = np.searchsorted(borders, start, side="right") - 1
        inside = end <= borders[row + 1]
        rows = scanner.rows_to_judge(word[inside], row[inside], len(texts))
        if not len(rows):
            return NOTHING
        # The few rows with something in them are folded again, now with the map back to the original.
        table = fold_table(self._steps, reading)
        points, point_rows = code_points(texts.take(pa.array(rows)))
        seen = view(points, point_rows, table, repeats=self._steps.repeats)
        key, first, last = scanner.scan(seen)
        hits = Evaluation(scanner.patterns, seen, points, point_rows, table).rules(key, first, last)
        return found_in(
            hits, seen, points, point_rows, places[rows] if isinstance(places, np.ndarray) else places + rows
        )


def _slices(texts: pa.StringArray) -> Iterator[tuple[int, pa.StringArray]]:
    """Yield (first row, rows) of at most ``SLICE`` bytes each, or of one row that is larger."""
    filled = texts.fill_null("") if texts.null_count else texts
    _, offsets = string_buffers(filled)
    low = 0
    while low < len(filled):
        high = int(np.searchsorted(offsets, int(offsets[low]) + SLICE, side="right")) - 1
        high = min(max(high, low + 1), len(filled))
        yield low, filled.slice(low, high - low)
        low = high
