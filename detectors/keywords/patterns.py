"""Rules compiled: the words to scan for, and which lists of which rules each belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.keywords.rules import Boundary, Rule
from detectors.normalise.steps import Steps
from detectors.normalise.tables.fold import FoldTable, Reading, fold_table
from detectors.normalise.tables.split import spellings
from detectors.normalise.view import code_points, view

Longs = npt.NDArray[np.int64]

MAX_SPELLINGS = 8
"""Split spellings taken of one word."""
AUTO_LENGTH = 3
"""Longest Chinese word whose boundaries are checked by themselves."""
_CHECKED = {Boundary.NONE: 0, Boundary.LATIN: 0, Boundary.AUTO: AUTO_LENGTH, Boundary.WORD: 1 << 40}


@dataclass(frozen=True, slots=True)
class RulePlan:
    """A rule's lists by number: its words, each group near them, exceptions and allow-phrases (-1 for none)."""

    rule: Rule
    words: int
    near: tuple[int, ...]
    unless: int
    allow: int


@dataclass(frozen=True, slots=True)
class PlanColumns:
    """The plans' numbers as arrays, so that all rules are judged at once.

    ``count`` lists there are; ``near`` (plans × most groups of a rule) is filled up with ``count``. ``pattern``
    says which have one, ``longest`` up to what length a word's boundaries are checked. ``by_words`` are the plans
    ordered by the list of their words, those of list ``n`` in ``by_words[owned[n]:owned[n+1]]``. ``free`` says by list
    whether letters and digits at its words' ends may go on in the text.
    """

    count: int
    words: Longs
    near: Longs
    unless: Longs
    allow: Longs
    within: Longs
    pattern: npt.NDArray[np.bool_]
    longest: Longs
    by_words: Longs
    owned: Longs
    free: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, plans: tuple[RulePlan, ...], free: list[bool]) -> PlanColumns:
        """Lay out ``plans`` over as many lists as ``free`` names."""
        count = len(free)
        deep = max((len(plan.near) for plan in plans), default=0)
        near = np.full((len(plans), deep), count, np.int64)
        for n, plan in enumerate(plans):
            near[n, : len(plan.near)] = plan.near
        words = np.array([plan.words for plan in plans], np.int64)
        order = np.argsort(words, kind="stable")
        return cls(
            count,
            words,
            near,
            np.array([plan.unless for plan in plans], np.int64),
            np.array([plan.allow for plan in plans], np.int64),
            np.array([plan.rule.within for plan in plans], np.int64),
            np.array([bool(plan.rule.pattern) for plan in plans], np.bool_),
            np.array([_CHECKED[plan.rule.boundary] for plan in plans], np.int64),
            order,
            np.searchsorted(words[order], np.arange(count + 1)),
            np.array(free, np.bool_),
        )

    def active(self, held: npt.NDArray[np.bool_]) -> Longs:
        """Plans whose words and groups all have hits, ascending; ``held`` says it by list."""
        # A group of no words, -1, has none; what fills up has always.
        known = np.concatenate([held, [True, False]])
        return np.flatnonzero(known[self.words] & known[self.near].all(axis=1))


@dataclass(frozen=True, slots=True)
class Patterns:
    """What is scanned for.

    ``keys``: normalised words, distinct. Key ``k`` belongs to the lists ``lists[borders[k]:borders[k+1]]``; the
    text must hold at least ``runs`` of each of its characters (None: once). ``left``, ``right``: whether the key
    begins or ends with a Latin letter (1) or digit (2), which the text must not continue (but for lists that are
    ``free``); 0 for neither.
    """

    keys: tuple[str, ...]
    lists: npt.NDArray[np.int32]
    borders: Longs
    runs: tuple[tuple[int, ...] | None, ...]
    left: npt.NDArray[np.int8]
    right: npt.NDArray[np.int8]
    plans: tuple[RulePlan, ...]
    columns: PlanColumns
    doubled: npt.NDArray[np.bool_]
    """Which keys have ``runs``."""


def compile_patterns(rules: tuple[Rule, ...], steps: Steps, reading: Reading = Reading.PLAIN) -> Patterns:
    """Normalise every word of ``rules`` as texts are normalised, and number lists and keys."""
    # Words that are found wherever they stand have a list of their own, as others may have the same words.
    words: dict[tuple[tuple[str, ...], bool], int] = {}

    def number(group: tuple[str, ...], free: bool = False) -> int:
        return words.setdefault((group, free), len(words)) if group else -1

    plans = tuple(
        RulePlan(
            rule,
            number(rule.words, rule.boundary is Boundary.NONE),
            tuple(number(group) for group in rule.near),
            number(rule.unless),
            number(rule.allow),
        )
        for rule in rules
    )
    spelled: list[str] = []
    owner: list[int] = []
    split = steps.split and reading is Reading.PLAIN
    for (group, _), at in words.items():
        forms = _group_spellings(group) if split else group
        spelled.extend(forms)
        owner.extend([at] * len(forms))
    columns = PlanColumns.of(plans, [free for _, free in words])
    return _index(spelled, owner, plans, columns, fold_table(steps, reading), steps.repeats)


def _index(
    spelled: list[str],
    owner: list[int],
    plans: tuple[RulePlan, ...],
    columns: PlanColumns,
    table: FoldTable,
    repeats: bool,
) -> Patterns:
    normal = view(*code_points(pa.array(spelled, pa.string())), table, repeats=repeats)
    text, rows = normal.text(), normal.rows.tolist()
    more = np.concatenate([[0], np.cumsum(normal.run > 1)])[normal.rows]
    doubled = np.diff(more) > 0
    words = [text[low:high] for low, high in pairwise(rows)]
    needed: list[tuple[int, ...]] = [()] * len(words)
    for i in np.flatnonzero(doubled).tolist():
        needed[i] = tuple(normal.run[rows[i] : rows[i + 1]].tolist())
    entries = list(zip(words, needed, strict=True))
    # Nothing is left of some words; lint names them.
    order = sorted({entry for entry in entries if entry[0]})
    number = {entry: n for n, entry in enumerate(order)}
    key = np.array([number.get(entry, -1) for entry in entries], np.int64)
    lists = max(columns.count, 1)
    pair = np.unique((key * lists + np.array(owner, np.int64))[key >= 0])
    keys = tuple(word for word, _ in order)
    return Patterns(
        keys=keys,
        lists=(pair % lists).astype(np.int32),
        borders=np.searchsorted(pair, np.arange(len(keys) + 1) * lists).astype(np.int64),
        runs=tuple(runs or None for _, runs in order),
        left=_edges([word[0] for word in keys]),
        right=_edges([word[-1] for word in keys]),
        plans=plans,
        columns=columns,
        doubled=np.array([bool(runs) for _, runs in order], np.bool_),
    )


def _edges(chars: list[str]) -> npt.NDArray[np.int8]:
    point = np.frombuffer("".join(chars).encode("utf-32-le"), np.uint32)
    letter = ((point | 0x20) >= ord("a")) & ((point | 0x20) <= ord("z"))
    digit = (point >= ord("0")) & (point <= ord("9"))
    return (letter + 2 * digit).astype(np.int8)


def _group_spellings(group: tuple[str, ...]) -> list[str]:
    """Return the words of a group, each followed by its split spellings."""
    if spellings().keys().isdisjoint("".join(group)):
        return list(group)
    return [form for word in group for form in _split_spellings(word)]


@lru_cache(maxsize=1 << 16)
def _split_spellings(word: str) -> tuple[str, ...]:
    """Return the word, then with each character that can be split written so, then with all of them."""
    table = spellings()
    split = [i for i, char in enumerate(word) if char in table]
    if not split:
        return (word,)
    forms = [word, *(word[:i] + parts + word[i + 1 :] for i in split for parts in table[word[i]])]
    everything = "".join([table[char][0] if char in table else char for char in word])
    return tuple(dict.fromkeys([*forms[:MAX_SPELLINGS], everything]))
