"""Patterns with their automaton, kept by the module: built once a process for a set of packs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.keywords.matcher import ColumnMatcher, matcher_for
from detectors.keywords.packset import PackSet
from detectors.keywords.patterns import Patterns, compile_patterns
from detectors.keywords.rules import State
from detectors.normalise.steps import Steps
from detectors.normalise.tables.fold import Reading
from detectors.normalise.view import View

Longs = npt.NDArray[np.int64]

MAX_SCANNERS: Final = 8
"""Automata kept; the oldest goes when changed packs bring one more."""


@dataclass(frozen=True, slots=True, eq=False)
class Scanner:
    """``first[w]:first[w+1]`` are the keys of the automaton's word ``w`` (one spelling may be several keys)."""

    patterns: Patterns
    matcher: ColumnMatcher
    first: Longs

    def rows_to_judge(self, word: Longs, row: Longs, rows: int) -> Longs:
        """Rows in which some rule has a hit of its words and of every group near them, ascending."""
        if not len(word):
            return word
        low, high = self.patterns.borders[self.first[word]], self.patterns.borders[self.first[word + 1]]
        lists, source = _ranges(low, high)
        lists, row = self.patterns.lists[lists].astype(np.int64), row[source]
        # Numbers of two bytes are sorted by their digits, several times as fast.
        order = np.argsort(lists.astype(np.uint16) if lists.max(initial=0) < 1 << 16 else lists, kind="stable")
        lists, row = lists[order], row[order]
        cuts = np.flatnonzero(np.diff(lists, prepend=-1, append=-1))
        held = {int(lists[a]): row[a:b] for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)}
        judge = np.zeros(rows, np.bool_)
        present: dict[int, npt.NDArray[np.bool_]] = {}
        for plan in self.patterns.plans_of(held):
            found = held[plan.words]
            for group in plan.near:
                if group not in present:
                    present[group] = np.zeros(rows, np.bool_)
                    present[group][held[group]] = True
                found = found[present[group][found]]
            judge[found] = True
        return np.flatnonzero(judge)

    def scan(self, seen: View) -> tuple[Longs, Longs, Longs]:
        """Hits as (keys, first tokens, tokens after the last) of a view."""
        word, start, end = self.matcher.find(seen.text().encode())
        key, source = _ranges(self.first[word], self.first[word + 1])
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
            matcher = matcher_for([keys[i] for i in first])
            _scanners[key] = Scanner(patterns, matcher, np.array([*first, len(keys)], np.int64))
        return _scanners[key]


def _ranges(low: Longs, high: Longs) -> tuple[Longs, Longs]:
    """Write out ranges [low, high): the numbers in them, and from which range each came."""
    size = high - low
    source = np.repeat(np.arange(len(low)), size)
    return low[source] + np.arange(len(source)) - np.repeat(np.cumsum(size) - size, size), source
