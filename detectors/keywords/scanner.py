"""Patterns with their automaton, kept by the module: built once a process for a set of packs."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.keywords.anchors import Anchors
from detectors.keywords.matcher import ColumnMatcher, matcher_for
from detectors.keywords.packset import PackSet
from detectors.keywords.patterns import Patterns, compile_patterns
from detectors.keywords.placed import ranges
from detectors.keywords.rules import State
from detectors.normalise.steps import Steps
from detectors.normalise.tables.fold import FoldTable, Reading
from detectors.normalise.view import View, string_buffers

Longs = npt.NDArray[np.int64]

SAMPLE: Final = 4096
"""Rows of a column from which is learned which words are rare."""
MAX_SCANNERS: Final = 8
"""Automata kept; the oldest goes when changed packs bring one more."""


@dataclass(frozen=True, eq=False)
class Scanner:
    """``first[w]:first[w+1]`` are the keys of the automaton's word ``w`` (one spelling may be several keys)."""

    patterns: Patterns
    matcher: ColumnMatcher
    first: Longs
    anchors: Anchors

    def rows_at_once(self, texts: pa.StringArray, table: FoldTable, *, repeats: bool) -> tuple[Longs, Longs] | None:
        """Rows of a column in which a rule may have a hit, and those with a sign that has a second reading, ascending.

        Of ``rows_to_judge`` those are left out in which, given where the hits stand, none can be one of a rule. None
        for a small column, for which folding and scanning it in steps is ready sooner.
        """
        if not self.matcher.ready_for(texts):
            return None
        words, (data, offsets) = self.matcher.columns(), string_buffers(texts)
        marked = self.anchors.matcher.columns().marked(data, offsets, table, repeats)
        rows, left, signs = self._company.look_at(data, offsets, marked, table, repeats, words)
        if len(left):
            word, row, _ = words.find_in(data, offsets, left, table, repeats)
            rows = np.sort(np.concatenate([rows, self.rows_to_judge(word, row, len(texts))]))
        if self.anchors.due(len(texts)):
            some = offsets[: SAMPLE + 1]
            word, row, _ = words.find_rows(data, some, table, repeats)
            self.anchors.learn(word, row, len(some) - 1)
        return rows, signs

    def rows_to_judge(self, word: Longs, row: Longs, rows: int) -> Longs:
        """Rows in which some rule has a hit of its words and of every group near them, ascending."""
        if not len(word):
            return word
        columns = self.patterns.columns
        low, high = self.patterns.borders[self.first[word]], self.patterns.borders[self.first[word + 1]]
        if "detectors.keywords.hashed" in sys.modules:
            from detectors.keywords.gathering import rows_in_company

            return rows_in_company(row, low, high, self.patterns.lists, columns, rows)
        at, source = ranges(low, high)
        held = np.unique(self.patterns.lists[at] * np.int64(rows) + row[source])
        begins = np.searchsorted(held, np.arange(columns.count + 1) * rows)
        plans = columns.active(np.diff(begins) > 0)
        words = columns.words[plans]
        at, own = ranges(begins[words], begins[words + 1])
        near, found = columns.near[plans[own]], held[at] % rows
        asked = near * rows + found[:, None]
        there = held[np.minimum(np.searchsorted(held, asked), len(held) - 1)] == asked
        return np.unique(found[(there | (near == columns.count)).all(axis=1)])

    @cached_property
    def _company(self) -> Any:
        from detectors.keywords.gathering import Company

        return Company(self.patterns, self.first)

    def scan(self, seen: View) -> tuple[Longs, Longs, Longs]:
        """Hits as (keys, first tokens, tokens after the last) of a view."""
        word, start, end = self.matcher.find(seen.text().encode())
        key, source = ranges(self.first[word], self.first[word + 1])
        return key, start[source], end[source]


_scanners: dict[tuple[str, State, Steps, Reading], Scanner] = {}
_building = threading.Lock()


def scanner_of(packs: PackSet, state: State, steps: Steps, reading: Reading) -> Scanner:
    """Return the scanner of the packs' rules in ``state``; for ``SOUND`` of those whose words are looked for so."""
    key = (packs.version, state, steps, reading)
    with _building:
        if key not in _scanners:
            while len(_scanners) >= MAX_SCANNERS:
                del _scanners[next(iter(_scanners))]
            rules = packs.in_state(state)
            if reading is Reading.SOUND:
                rules = tuple(rule for rule in rules if rule.sound)
            patterns = compile_patterns(rules, steps, reading)
            keys = patterns.keys
            first = [i for i, spelling in enumerate(keys) if i == 0 or keys[i - 1] != spelling]
            words = [keys[i] for i in first]
            borders = np.array([*first, len(keys)], np.int64)
            matcher = matcher_for(words)
            _scanners[key] = Scanner(patterns, matcher, borders, Anchors(patterns, borders, words, matcher))
        return _scanners[key]
