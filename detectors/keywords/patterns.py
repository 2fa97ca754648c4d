"""Rules compiled: the words to scan for, and which lists of which rules each belongs to."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.keywords.rules import Rule
from detectors.normalise.steps import Steps
from detectors.normalise.tables.fold import FoldTable, Reading, fold_table
from detectors.normalise.tables.split import spellings
from detectors.normalise.view import code_points, view

Longs = npt.NDArray[np.int64]

MAX_SPELLINGS = 8
"""Split spellings taken of one word."""


@dataclass(frozen=True, slots=True)
class RulePlan:
    """A rule's lists by number: its words, each group near them, exceptions and allow-phrases (-1 for none)."""

    rule: Rule
    words: int
    near: tuple[int, ...]
    unless: int
    allow: int


@dataclass(frozen=True, slots=True)
class Patterns:
    """What is scanned for.

    ``keys``: normalised words, distinct. Key ``k`` belongs to the lists ``lists[borders[k]:borders[k+1]]``; the
    text must hold at least ``runs`` of each of its characters (None: once). ``left``, ``right``: whether the key
    begins or ends with a Latin letter (1) or digit (2), which the text must not continue; 0 for neither.
    """

    keys: tuple[str, ...]
    lists: npt.NDArray[np.int32]
    borders: Longs
    runs: tuple[tuple[int, ...] | None, ...]
    left: npt.NDArray[np.int8]
    right: npt.NDArray[np.int8]
    plans: tuple[RulePlan, ...]
    plans_by_words: dict[int, tuple[RulePlan, ...]]

    def plans_of(self, held: Container[int]) -> Iterator[RulePlan]:
        """Plans whose words and groups all have hits."""
        for words, plans in self.plans_by_words.items():
            if words in held:
                yield from (plan for plan in plans if all(group in held for group in plan.near))


def compile_patterns(rules: tuple[Rule, ...], steps: Steps, reading: Reading = Reading.PLAIN) -> Patterns:
    """Normalise every word of ``rules`` as texts are normalised, and number lists and keys."""
    words: dict[tuple[str, ...], int] = {}

    def number(group: tuple[str, ...]) -> int:
        return words.setdefault(group, len(words)) if group else -1

    plans = tuple(
        RulePlan(
            rule,
            number(rule.words),
            tuple(number(group) for group in rule.near),
            number(rule.unless),
            number(rule.allow),
        )
        for rule in rules
    )
    spelled: list[str] = []
    owner: list[int] = []
    for group, at in words.items():
        for word in group:
            for form in _split_spellings(word) if steps.split and reading is Reading.PLAIN else (word,):
                spelled.append(form)
                owner.append(at)
    return _index(spelled, owner, plans, fold_table(steps, reading), steps.repeats)


def _index(
    spelled: list[str], owner: list[int], plans: tuple[RulePlan, ...], table: FoldTable, repeats: bool
) -> Patterns:
    normal = view(*code_points(pa.array(spelled, pa.string())), table, repeats=repeats)
    text = normal.text()
    belongs: dict[tuple[str, tuple[int, ...] | None], set[int]] = {}
    for i, (low, high) in enumerate(pairwise(normal.rows.tolist())):
        if low == high:
            continue  # nothing is left of it; lint names such words
        runs = normal.run[low:high]
        needed = tuple(runs.tolist()) if runs.max() > 1 else None
        belongs.setdefault((text[low:high], needed), set()).add(owner[i])
    order = sorted(belongs, key=lambda entry: (entry[0], entry[1] or ()))
    lists: list[int] = []
    borders = [0]
    for entry in order:
        lists.extend(sorted(belongs[entry]))
        borders.append(len(lists))
    keys = tuple(entry[0] for entry in order)
    by_words: dict[int, list[RulePlan]] = {}
    for plan in plans:
        by_words.setdefault(plan.words, []).append(plan)
    return Patterns(
        keys=keys,
        lists=np.array(lists, np.int32),
        borders=np.array(borders, np.int64),
        runs=tuple(entry[1] for entry in order),
        left=np.array([_edge(key[0]) for key in keys], np.int8),
        right=np.array([_edge(key[-1]) for key in keys], np.int8),
        plans=plans,
        plans_by_words={number: tuple(same) for number, same in by_words.items()},
    )


def _edge(char: str) -> int:
    if char.isascii() and char.isalpha():
        return 1
    return 2 if char.isascii() and char.isdigit() else 0


def _split_spellings(word: str) -> list[str]:
    """Return the word, then with each character that can be split written so, then with all of them."""
    table = spellings()
    forms = [word]
    everything = [word]
    for i, char in enumerate(word):
        for parts in table.get(char, ()):
            forms.append(word[:i] + parts + word[i + 1 :])
        if char in table:
            everything = [form.replace(char, table[char][0]) for form in everything]
    return list(dict.fromkeys([*forms[:MAX_SPELLINGS], *everything]))
