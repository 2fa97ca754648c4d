"""Pack files: CSV that a spreadsheet opens and a review shows line by line.

The first line that is no remark names the columns; a cell's list is separated by ``|``. A line ``#! name=value``
sets what empty cells of that column mean from there on; other lines that begin with ``#`` are remarks. ``near`` holds
groups separated by ``&``; a word ``@name`` stands for a named group of ``groups.csv`` (columns ``name,words``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from detectors.base import CATEGORIES
from detectors.keywords.rules import Boundary, Problem, Rule, State

COLUMNS: Final = (
    "id", "category", "subtype", "words", "near", "within", "unless", "pattern", "severity", "weight", "boundary",
    "sound", "allow", "hits", "misses", "state", "basis", "author", "since", "until", "note",
)  # fmt: skip
GROUPS_FILE: Final = "groups.csv"
MAX_BYTES: Final = 64 << 20
MAX_WORD: Final = 200
"""Longest word in characters."""


@dataclass(slots=True)
class PackText:
    """What a file says, with its faults."""

    rules: list[Rule] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_groups(path: Path) -> tuple[dict[str, tuple[str, ...]], list[Problem]]:
    """Read named groups of words and resolve what they name in one another."""
    raw: dict[str, tuple[tuple[str, ...], int]] = {}
    problems: list[Problem] = []
    for line, row in _rows(path, ("name", "words"), problems):
        name = row.get("name", "").strip().lstrip("@")
        if not name:
            problems.append(Problem(path.name, line, "A group has no name.", "Give it one in the column name."))
        elif name in raw:
            problems.append(
                Problem(
                    path.name, line, f"The group {name} is defined twice, first in line {raw[name][1]}.", "Keep one."
                )
            )
        else:
            raw[name] = (_list(row.get("words", "")), line)
    return {name: _resolve(name, raw, (), path.name, problems) for name in raw}, problems


def _resolve(
    name: str, raw: dict[str, tuple[tuple[str, ...], int]], above: tuple[str, ...], file: str, problems: list[Problem]
) -> tuple[str, ...]:
    words, line = raw[name]
    found: list[str] = []
    for word in words:
        if not word.startswith("@"):
            found.append(word)
        elif word[1:] == name or word[1:] in above:
            chain = " → ".join((*above, name, word[1:]))
            problem = Problem(
                file, line, f"The groups name each other in a circle: {chain}.", "Take one of the names out."
            )
            if problem not in problems:
                problems.append(problem)
        elif word[1:] not in raw:
            problem = Problem(file, line, f"The group {word} is not defined.", "Define it, or correct its name.")
            if problem not in problems:
                problems.append(problem)
        else:
            found.extend(_resolve(word[1:], raw, (*above, name), file, problems))
    return tuple(dict.fromkeys(found))


def read_pack(path: Path, groups: dict[str, tuple[str, ...]]) -> PackText:
    """Read one pack; whatever is wrong becomes a problem with its line, and the rule is left out."""
    text = PackText()
    for line, row in _rows(path, COLUMNS, text.problems):
        rule = _Reader(path.name, line, row, groups, text.problems).rule()
        if rule is not None:
            text.rules.append(rule)
    return text


class _Reader:
    """One row into a rule."""

    def __init__(
        self, file: str, line: int, row: dict[str, str], groups: dict[str, tuple[str, ...]], problems: list[Problem]
    ) -> None:
        self.file, self.line, self.row, self.groups, self.problems = file, line, row, groups, problems
        self.ok = True

    def fault(self, what: str, cure: str) -> None:
        self.problems.append(Problem(self.file, self.line, what, cure))
        self.ok = False

    def cell(self, name: str) -> str:
        return self.row.get(name, "").strip()

    def words(self, text: str, column: str) -> tuple[str, ...]:
        found: list[str] = []
        for word in text.split("|"):
            stripped = word.strip()
            if not stripped:
                self.fault(f"The column {column} holds an empty word.", "Take out the bar too many, or write the word.")
            elif len(stripped) > MAX_WORD:
                self.fault(
                    f"A word in {column} has over {MAX_WORD} characters.", "Use a shorter word, or two that stand near."
                )
            elif stripped.startswith("@") and len(stripped) > 1:
                if stripped[1:] not in self.groups:
                    self.fault(
                        f"The group {stripped} is not defined.", f"Define it in {GROUPS_FILE}, or correct its name."
                    )
                else:
                    found.extend(self.groups[stripped[1:]])
            else:
                found.append(stripped)
        return tuple(dict.fromkeys(found))

    def number(self, name: str, low: float, high: float, default: float) -> float:
        text = self.cell(name)
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            self.fault(f"{name} {text!r} is not a number from {low:g} to {high:g}.", "Correct it.")
            return default
        return value

    def choice(self, name: str, kind: type[State] | type[Boundary], default: str) -> str:
        text = self.cell(name) or default
        if text not in [str(k) for k in kind]:
            self.fault(f"{name} {text!r} is unknown.", f"Use one of {', '.join(kind)}.")
            return default
        return text

    def day(self, name: str) -> str:
        text = self.cell(name)
        if text:
            try:
                date.fromisoformat(text)
            except ValueError:
                self.fault(f"{name} {text!r} is not a date.", "Write it as 2026-01-31.")
        return text

    def expression(self, pattern: str) -> None:
        if pattern:
            try:
                pc.extract_regex_span(pa.array([""]), f"(?P<hit>{pattern})")
            except pa.ArrowInvalid as error:
                reason = str(error).removeprefix("Invalid regular expression: ")
                self.fault(f"The pattern {pattern!r} is no regular expression: {reason}.", "Write it in RE2's syntax.")

    def rule(self) -> Rule | None:
        category = self.cell("category")
        if category not in CATEGORIES:
            self.fault(f"The category {category!r} is unknown.", f"Use one of {', '.join(CATEGORIES)}.")
        if not self.cell("words"):
            self.fault(
                "The rule has an empty word.", "Write at least one word in the column words, or delete the line."
            )
            return None
        if not self.cell("id"):
            self.fault("The rule has no id.", "Give it one that no other rule has.")
        sound = self.cell("sound") or "no"
        if sound not in ("yes", "no"):
            self.fault(f"sound {sound!r} is unknown.", "Use yes or no.")
        near = self.cell("near")
        self.expression(self.cell("pattern"))
        rule = Rule(
            id=self.cell("id"),
            category=category,
            subtype=self.cell("subtype"),
            words=self.words(self.cell("words"), "words"),
            near=tuple(self.words(group, "near") for group in near.split("&")) if near else (),
            within=int(self.number("within", 0, 200, 8)),
            unless=self.words(self.cell("unless"), "unless") if self.cell("unless") else (),
            pattern=self.cell("pattern"),
            severity=int(self.number("severity", 1, 4, 2)),
            weight=self.number("weight", 0, 1, 0.9),
            boundary=Boundary(self.choice("boundary", Boundary, "auto")),
            sound=sound == "yes",
            allow=self.words(self.cell("allow"), "allow") if self.cell("allow") else (),
            hits=_list(self.cell("hits")),
            misses=_list(self.cell("misses")),
            state=State(self.choice("state", State, "live")),
            basis=self.cell("basis"),
            author=self.cell("author"),
            since=self.day("since"),
            until=self.day("until"),
            file=self.file,
            line=self.line,
        )
        return rule if self.ok else None


def _list(text: str) -> tuple[str, ...]:
    return tuple(part for part in (p.strip() for p in text.split("|")) if part)


def _rows(path: Path, columns: tuple[str, ...], problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, cells by column) of a file's rows, with the defaults of its ``#!`` lines filled in."""
    try:
        data = path.read_bytes()
    except OSError as error:
        problems.append(
            Problem(path.name, 0, f"The file cannot be read: {error}.", "Give the process the right to read it.")
        )
        return
    if len(data) > MAX_BYTES:
        problems.append(Problem(path.name, 0, f"The file has over {MAX_BYTES >> 20} MiB.", "Divide it."))
        return
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        problems.append(Problem(path.name, line, "The line is not UTF-8.", "Save the file as UTF-8."))
        return
    yield from _parse(path.name, content, columns, problems)


def _parse(
    file: str, content: str, columns: tuple[str, ...], problems: list[Problem]
) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    header: list[str] = []
    defaults: dict[str, str] = {}
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(
                Problem(file, line, f"The line is no CSV: {error}.", "Close the quotes, or double those inside.")
            )
            return
        if not any(cell.strip() for cell in row):
            continue
        if row[0].startswith("#"):
            if row[0].startswith("#!"):
                name, sep, value = ",".join(row)[2:].rstrip(",").partition("=")
                if not sep or name.strip() not in columns:
                    problems.append(
                        Problem(
                            file,
                            line,
                            "The default names no column.",
                            f"Write #! column=value, with one of {', '.join(columns)}.",
                        )
                    )
                else:
                    defaults[name.strip()] = value.strip()
            continue
        if not header:
            header = [cell.strip() for cell in row]
            unknown = [name for name in header if name not in columns]
            doubled = {name for name in header if header.count(name) > 1}
            if unknown or doubled:
                problems.append(
                    Problem(
                        file, line,
                        f"The columns {', '.join(sorted({*unknown, *doubled}))} are unknown or stand twice.",
                        f"Use each of {', '.join(columns)} at most once.",
                    )
                )  # fmt: skip
                return
            continue
        if len(row) > len(header) and any(row[len(header) :]):
            problems.append(
                Problem(
                    file,
                    line,
                    f"The line has {len(row)} cells, the file {len(header)} columns.",
                    "Quote cells with commas.",
                )
            )
            continue
        cells = dict(zip(header, row, strict=False))
        yield line, defaults | {name: value for name, value in cells.items() if value.strip()}
