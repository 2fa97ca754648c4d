"""The keyword detector: normalise a column, scan it once, and judge what the scan found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.base import string_column
from detectors.keywords.evaluate import Evaluation
from detectors.keywords.findings import Found, found_in, judged
from detectors.keywords.packset import PackSet
from detectors.keywords.rules import State
from detectors.keywords.scanner import Scanner, scanner_of
from detectors.normalise.column import fold_column
from detectors.normalise.steps import ALL_STEPS, Steps
from detectors.normalise.tables.fold import Reading, fold_table
from detectors.normalise.view import code_points, string_buffers, view

Longs = npt.NDArray[np.int64]

SLICE: Final = 16 << 20
"""Bytes of a column worked on at once."""
JUDGED: Final = 1 << 20
"""Bytes of rows with hits judged at once: a text of nothing but hits takes 150 times its size."""
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
        texts = string_column(texts)
        parts: list[Found] = []
        plain = scanner_of(self._packs, state, self._steps, Reading.PLAIN)
        aloud = any(rule.sound for rule in self._packs.in_state(state))
        sound = scanner_of(self._packs, state, self._steps, Reading.SOUND) if aloud else None
        for low, piece in _slices(texts, SLICE):
            rows, signs = self._rows(piece, plain, Reading.PLAIN)
            parts.extend(self._judge(piece, rows, low, plain, Reading.PLAIN))
            if len(signs):
                held = piece.take(pa.array(signs))
                rows, _ = self._rows(held, plain, Reading.SIGNS)
                parts.extend(self._judge(held, rows, low + signs, plain, Reading.SIGNS))
            if sound is not None and sound.patterns.keys:
                rows, _ = self._rows(piece, sound, Reading.SOUND)
                parts.extend(self._judge(piece, rows, low, sound, Reading.SOUND))
        return judged(parts, threshold)

    def _rows(self, texts: pa.StringArray, scanner: Scanner, reading: Reading) -> tuple[Longs, Longs]:
        """Rows of ``texts`` (no nulls) in which a rule may speak, and rows with a sign that has a second reading."""
        table = fold_table(self._steps, reading)
        at_once = scanner.rows_at_once(texts, table, repeats=self._steps.repeats)
        if at_once is not None:
            return at_once
        folded = fold_column(texts, table, repeats=self._steps.repeats)
        word, start, end = scanner.matcher.find(folded.data)
        row = np.searchsorted(folded.char_rows, start, side="right") - 1
        inside = end <= folded.char_rows[row + 1]
        return scanner.rows_to_judge(word[inside], row[inside], len(texts)), np.flatnonzero(folded.signs)

    def _judge(
        self, texts: pa.StringArray, rows: Longs, places: int | Longs, scanner: Scanner, reading: Reading
    ) -> Iterator[Found]:
        """Hits of rules in ``rows`` of ``texts``; ``places`` are the texts' rows in the column, or that of the first.

        These few rows are folded again, now with the map back to the original.
        """
        table = fold_table(self._steps, reading)
        chosen = texts.take(pa.array(rows))
        at = places[rows] if isinstance(places, np.ndarray) else places + rows
        for low, piece in _slices(chosen, JUDGED):
            points, point_rows = code_points(piece)
            seen = view(points, point_rows, table, repeats=self._steps.repeats)
            key, first, last = scanner.scan(seen)
            hits = Evaluation(scanner.patterns, seen, points, point_rows, table).rules(key, first, last)
            yield found_in(hits, scanner.patterns.plans, seen, points, point_rows, at[low : low + len(piece)])


def _slices(texts: pa.StringArray, size: int) -> Iterator[tuple[int, pa.StringArray]]:
    """Yield (first row, rows) of at most ``size`` bytes each, or of one row that is larger."""
    filled = texts.fill_null("") if texts.null_count else texts
    _, offsets = string_buffers(filled)
    low = 0
    while low < len(filled):
        high = int(np.searchsorted(offsets, int(offsets[low]) + size, side="right")) - 1
        high = min(max(high, low + 1), len(filled))
        yield low, filled.slice(low, high - low)
        low = high
