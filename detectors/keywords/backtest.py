"""Two sets of rules over the same texts: what each finds, and where they differ."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from detectors.keywords.engine import KeywordDetector
from detectors.keywords.packset import PackSet
from detectors.keywords.rules import Rule

CONTEXT: Final = 10
"""Characters shown on each side of a match."""
MAX_MATCH: Final = 30
WINDOW: Final = 64
"""Characters on each side in which a handle is looked for, so that none is shown because its rest is cut off."""
_HANDLE: Final = re.compile(r"h(?:n{0,2}h){3,}")


@dataclass(frozen=True, slots=True)
class Found:
    """What one rule found: ``candidate`` and ``today`` texts, ``new`` ones that no rule of today finds."""

    rule: Rule
    candidate: int
    today: int
    new: int
    examples: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "rule": self.rule.id,
            "category": self.rule.category,
            "subtype": self.rule.subtype or None,
            "version": self.rule.version,
            "state": self.rule.state.value,
            "candidate": self.candidate,
            "today": self.today,
            "new": self.new,
            "examples": list(self.examples),
        }


@dataclass(slots=True)
class Totals:
    """Texts in all, and those that the candidate, today's rules, both, or only one of them find."""

    texts: int = 0
    candidate: int = 0
    today: int = 0
    both: int = 0

    def as_json(self) -> dict[str, int]:
        """For JSON."""
        return {
            "texts": self.texts,
            "candidate": self.candidate,
            "today": self.today,
            "both": self.both,
            "only_candidate": self.candidate - self.both,
            "only_today": self.today - self.both,
        }


@dataclass(slots=True)
class Backtest:
    """Runs ``candidate`` beside ``today`` over batches of texts; both count as live rules do when tickets open.

    Args:
        written: the rules as their packs write them, by id: a draft runs as live here and is shown as the draft it is.
        examples: masked examples kept of each rule, new ones first come, first kept.
    """

    candidate: PackSet
    today: PackSet
    written: dict[str, Rule]
    examples: int = 3
    totals: Totals = field(default_factory=Totals)
    _candidate: Counter[str] = field(default_factory=Counter)
    _today: Counter[str] = field(default_factory=Counter)
    _new: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, texts: pa.StringArray) -> dict[str, int]:
        """Run both over some texts; returns what these gave, for the record."""
        mine = KeywordDetector(self.candidate).detect(texts)
        theirs = KeywordDetector(self.today).detect(texts)
        found, before = _rows(mine), _rows(theirs)
        self._candidate.update(_texts(mine))
        self._today.update(_texts(theirs))
        fresh = found - before
        step = Totals(len(texts), len(found), len(before), len(found & before))
        for name in ("texts", "candidate", "today", "both"):
            setattr(self.totals, name, getattr(self.totals, name) + getattr(step, name))
        self._note(texts, mine, fresh)
        return step.as_json()

    def rules(self) -> list[Found]:
        """What every rule found that found anything on either side, most first."""
        every = {rule.id: rule for rule in (*self.today.rules, *self.candidate.rules)} | self.written
        names = {*self._candidate, *self._today}
        found = [
            Found(every[n], self._candidate[n], self._today[n], self._new[n], tuple(self._examples.get(n, ())))
            for n in names
        ]
        return sorted(found, key=lambda one: (-one.new, -one.candidate, one.rule.id))

    def _note(self, texts: pa.StringArray, findings: pa.RecordBatch, fresh: set[int]) -> None:
        """Count what is new by rule, and keep examples: of new texts, and of rules that have none yet."""
        columns = [findings.column(name).to_pylist() for name in ("row", "rule", "start", "end")]
        counted: set[tuple[int, str]] = set()
        for row, rule, start, end in zip(*columns, strict=True):
            new = row in fresh
            if new and (row, rule) not in counted:
                counted.add((row, rule))
                self._new[rule] += 1
            kept = self._examples.setdefault(rule, {})
            if len(kept) < self.examples and (new or not kept):
                kept[masked(texts[row].as_py() or "", start, end)] = None


def masked(text: str, start: int, end: int) -> str:
    """A match in 【】 with some text around it.

    Runs of four and more letters and digits, disguised ones too, may name a person: all but the first are starred.
    """
    low, high = max(0, start - WINDOW), min(len(text), end + WINDOW)
    shown = low + max(0, start - low - CONTEXT)
    hidden = _hidden(text[low:high])
    left, hit, right = (hidden[a - low : b - low] for a, b in ((shown, start), (start, end), (end, end + CONTEXT)))
    cut = hit if len(hit) <= MAX_MATCH else hit[:MAX_MATCH] + "…"
    return f"{'…' if shown else ''}{left}【{cut}】{right}{'…' if end + CONTEXT < len(text) else ''}"


def _hidden(text: str) -> str:
    """The text with its handles starred, as long as before."""
    kinds = "".join(map(_kind, text))
    chars = [char if char.isprintable() else "·" for char in text]
    for run in _HANDLE.finditer(kinds):
        for at in range(run.start() + 1, run.end()):
            chars[at] = "*"
    return "".join(chars)


def _kind(char: str) -> str:
    """``h`` for a letter or digit a handle may hold, ``n`` for a sign that may stand between, ``x`` for the rest."""
    plain = unicodedata.normalize("NFKC", char)
    if plain.isascii() and (plain.isalnum() or plain == "_"):
        return "h"
    return "x" if char.isalpha() else "n"


def _rows(findings: pa.RecordBatch) -> set[int]:
    return set(findings.column("row").to_pylist())


def _texts(findings: pa.RecordBatch) -> Counter[str]:
    pairs = set(zip(findings.column("row").to_pylist(), findings.column("rule").to_pylist(), strict=True))
    return Counter(rule for _, rule in pairs)
