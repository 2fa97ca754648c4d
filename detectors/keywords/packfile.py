"""Pack files: CSV that a spreadsheet opens and a review shows line by line; see ``pack_rows`` for its lines.

A cell's list is separated by ``|``. ``near`` holds groups separated by ``&``; a word ``@name`` stands for a named group
of ``groups.csv``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from detectors.base import CATEGORIES
from detectors.keywords.groups import GROUPS_FILE, Groups, listed
from detectors.keywords.pack_rows import Faults, read_rows, shown
from detectors.keywords.rules import Boundary, Problem, Rule, State

COLUMNS: Final = (
    "id", "category", "subtype", "words", "near", "within", "unless", "pattern", "severity", "weight", "boundary",
    "sound", "allow", "hits", "misses", "state", "basis", "author", "since", "until", "note",
)  # fmt: skip
MAX_WORD: Final = 200
"""Longest word in characters."""
MAX_ID: Final = 200
MAX_PATTERN: Final = 2000
_STATES: Final = {state.value: state for state in State}
_BOUNDARIES: Final = {boundary.value: boundary for boundary in Boundary}
_YES_NO: Final = {"yes": True, "no": False}


@dataclass(slots=True)
class PackText:
    """What a file says, with its faults; ``meta`` is what it says about itself (source, digest, author, date)."""

    rules: list[Rule] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)


def read_pack(path: Path, groups: Groups, label: str = "") -> PackText:
    """Read one pack; whatever is wrong becomes a problem with its line, and the rule is left out."""
    text = PackText()
    faults = Faults(label or path.name)
    for line, row in read_rows(path, COLUMNS, faults, text.meta):
        rule = _Reader(faults, line, row, groups).rule()
        if rule is not None:
            text.rules.append(rule)
    text.problems = faults.found
    return text


class _Reader:
    """One row into a rule."""

    def __init__(self, faults: Faults, line: int, row: dict[str, str], groups: Groups) -> None:
        self.faults, self.line, self.row, self.groups = faults, line, row, groups
        self.ok = True

    def fault(self, what: str, cure: str) -> None:
        """Note a fault. That of a draft, which never runs, keeps no pack from loading."""
        self.faults.add(self.line, what, cure, fatal=self.cell("state") != State.DRAFT)
        self.ok = False

    def cell(self, name: str) -> str:
        return self.row.get(name, "")

    def words(self, text: str, column: str) -> tuple[str, ...]:
        found: dict[str, None] = {}
        written: set[str] = set()
        for word in text.split("|"):
            stripped = word.strip()
            if stripped and stripped in written:
                self.fault(f"The word {shown(stripped)} stands twice in {column}.", "Keep one.")
            written.add(stripped)
            if not stripped:
                self.fault(f"The column {column} holds an empty word.", "Take out the bar too many, or write the word.")
            elif len(stripped) > MAX_WORD:
                self.fault(
                    f"A word in {column} has over {MAX_WORD} characters.", "Use a shorter word, or two that stand near."
                )
            elif stripped.startswith("@") and len(stripped) > 1:
                if stripped[1:] not in self.groups:
                    self.fault(
                        f"The group {shown(stripped)} is not defined.",
                        f"Define it in {GROUPS_FILE}, or correct its name.",
                    )
                else:
                    found |= dict.fromkeys(self.groups[stripped[1:]])
            else:
                found[stripped] = None
        return tuple(found)

    def number(self, name: str, text: str, low: float, high: float) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            self.fault(f"{name} {shown(text)} is not a number from {low:g} to {high:g}.", "Correct it.")
            return low
        return value

    def choice(self, name: str, text: str, values: Mapping[str, object]) -> object:
        if text not in values:
            self.fault(f"{name} {shown(text)} is unknown.", f"Use one of {', '.join(values)}.")
        return values.get(text)

    def day(self, name: str, text: str) -> str:
        try:
            date.fromisoformat(text if len(text) == 10 else "")
        except ValueError:
            self.fault(f"{name} {shown(text)} is not a date.", "Write it as 2026-01-31.")
        return text

    def expression(self, pattern: str) -> str:
        if len(pattern) > MAX_PATTERN:
            self.fault(f"The pattern has over {MAX_PATTERN} characters.", "Divide the rule.")
            return ""
        try:
            # Alone first: unbalanced brackets must not close the group around it.
            matches_nothing = pc.match_substring_regex(pa.array([""]), pattern)[0].as_py()
            pc.extract_regex_span(pa.array([""]), f"(?P<hit>{pattern})")
        except pa.ArrowInvalid as error:
            reason = str(error).removeprefix("Invalid regular expression: ").splitlines()[0][:200]
            cure = "Write (?:…) for brackets." if "unnamed groups" in reason else "Write it in RE2's syntax."
            self.fault(f"The pattern {shown(pattern)} is no regular expression: {reason}.", cure)
        else:
            if matches_nothing:
                self.fault(
                    f"The pattern {shown(pattern)} matches the empty text.", "Let it match one character at least."
                )
        return pattern

    def rule(self) -> Rule | None:
        """The row's rule; columns that it leaves empty are left to the defaults of ``Rule``."""
        category = self.cell("category")
        if category not in CATEGORIES:
            self.fault(f"The category {shown(category)} is unknown.", f"Use one of {', '.join(CATEGORIES)}.")
        if not self.cell("words"):
            self.fault(
                "The rule has an empty word.", "Write at least one word in the column words, or delete the line."
            )
            return None
        name = self.cell("id")
        if not name:
            self.fault("The rule has no id.", "Give it one that no other rule has.")
        if len(name) > MAX_ID or not name.isprintable():
            self.fault(f"The id {shown(name)} is too long or not printable.", "Give it a short name.")
        fields: dict[str, Any] = {}
        for column, text in self.row.items():
            read = _READ.get(column)
            if read is not None and text:
                fields[column] = read(self, column, text)
        if not self.ok:
            return None
        return Rule(id=name, category=category, file=self.faults.file, line=self.line, **{"subtype": "", **fields})


_READ: Final[dict[str, Callable[[_Reader, str, str], object]]] = {
    "subtype": lambda _reader, _column, text: text,
    "words": lambda reader, column, text: reader.words(text, column),
    "near": lambda reader, column, text: tuple(reader.words(group, column) for group in text.split("&")),
    "within": lambda reader, column, text: int(reader.number(column, text, 0, 200)),
    "unless": lambda reader, column, text: reader.words(text, column),
    "pattern": lambda reader, _column, text: reader.expression(text),
    "severity": lambda reader, column, text: int(reader.number(column, text, 1, 4)),
    "weight": lambda reader, column, text: reader.number(column, text, 0, 1),
    "boundary": lambda reader, column, text: reader.choice(column, text, _BOUNDARIES),
    "sound": lambda reader, column, text: reader.choice(column, text, _YES_NO),
    "allow": lambda reader, column, text: reader.words(text, column),
    "hits": lambda _reader, _column, text: listed(text),
    "misses": lambda _reader, _column, text: listed(text),
    "state": lambda reader, column, text: reader.choice(column, text, _STATES),
    "basis": lambda _reader, _column, text: text,
    "author": lambda _reader, _column, text: text,
    "since": lambda reader, column, text: reader.day(column, text),
    "until": lambda reader, column, text: reader.day(column, text),
}
