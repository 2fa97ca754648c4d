"""All packs of one or more folders as one value."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import Final

from detectors.errors import PackError
from detectors.keywords.groups import GROUPS_FILE, Groups, read_groups
from detectors.keywords.packfile import read_pack
from detectors.keywords.rules import Problem, Rule, State

# All of a rule but where it stands; ``astuple`` would copy every word.
_SAID: Final = attrgetter(*(one.name for one in fields(Rule) if one.name not in ("file", "line")))


@dataclass(frozen=True, slots=True)
class PackSet:
    """Rules of all packs in the order of files and lines; ``version`` names exactly these rules."""

    rules: tuple[Rule, ...]
    version: str

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> PackSet:
        """Make a set of rules; where a rule stands does not count for the version."""
        kept = tuple(rules)
        digest = hashlib.sha256()
        for rule in kept:
            digest.update(repr(_SAID(rule)).encode())
        return cls(kept, f"keywords-{digest.hexdigest()[:12]}")

    def in_state(self, state: State, today: date | None = None) -> tuple[Rule, ...]:
        """Return the rules of a state that are in force ``today`` (default: all of them, whatever their dates)."""
        return tuple(rule for rule in self.rules if rule.state is state and (today is None or in_force(rule, today)))


def in_force(rule: Rule, day: date) -> bool:
    """Whether a day lies between the rule's dates, both included."""
    text = day.isoformat()
    return (rule.since or text) <= text <= (rule.until or text)


@dataclass(slots=True)
class Folder:
    """What the packs of a folder say, with their faults; ``meta`` by file."""

    rules: list[Rule] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    meta: dict[str, dict[str, str]] = field(default_factory=dict)


def read_packs(path: Path) -> Folder:
    """Read one pack, or every ``*.csv`` of a folder (in the order of names); what is wrong is noted, not raised.

    Files are named ``FOLDER/FILE``: packs of two folders may have the same name.
    """
    found = Folder()
    folder = path if path.is_dir() else path.parent
    try:
        # Not glob, which takes a folder that may not be read for an empty one.
        files = sorted(p for p in path.iterdir() if p.suffix == ".csv") if path.is_dir() else [path]
    except OSError as error:
        what = f"The folder of packs cannot be read: {error.strerror or error}."
        return Folder(problems=[Problem(str(path), 1, what, "Give the process the right to read it.")])
    if not path.exists():
        what = "There is no such folder of packs."
        return Folder(problems=[Problem(str(path), 1, what, "Name the folder that holds the packs.")])
    groups: Groups = {}
    name = folder.resolve().name
    if (folder / GROUPS_FILE).exists():
        groups, found.problems = read_groups(folder / GROUPS_FILE, f"{name}/{GROUPS_FILE}")
    for file in files:
        if file.name != GROUPS_FILE:
            label = f"{name}/{file.name}"
            text = read_pack(file, groups, label)
            found.rules.extend(text.rules)
            found.problems.extend(text.problems)
            found.meta[label] = text.meta
    found.problems.extend(same_ids(found.rules))
    found.problems.extend(same_words(found.rules))
    return found


def same_ids(rules: Iterable[Rule]) -> list[Problem]:
    """Name every rule whose id another rule of the folder has."""
    seen: dict[str, Rule] = {}
    problems = []
    for rule in rules:
        other = seen.setdefault(rule.id, rule)
        if other is not rule:
            what = f"The id {rule.id} stands twice, first in {other.file}:{other.line}."
            problems.append(Problem(rule.file, rule.line, what, "Give one of the two another id."))
    return problems


def same_words(rules: Iterable[Rule]) -> list[Problem]:
    """Name every word that stands in two rules of one state that would speak at the same places."""
    seen: dict[tuple[object, ...], Rule] = {}
    problems = []
    for rule in rules:
        combination = (rule.category, rule.near, rule.pattern, rule.unless, rule.state)
        for word in rule.words:
            other = seen.setdefault((word, combination), rule)
            if other is not rule and other.id != rule.id:
                what = f"The word {word!r} stands also in {other.id} ({other.file}:{other.line})."
                fatal = rule.state is not State.DRAFT
                problems.append(Problem(rule.file, rule.line, what, "Keep it in one.", fatal))
    return problems


def refuse_faulty(problems: Iterable[Problem]) -> None:
    """Raise when a problem keeps packs from loading.

    Raises:
        PackError: with all of them in ``problems``.
    """
    fatal = tuple(problem for problem in problems if problem.fatal)
    if fatal:
        more = f" (and {len(fatal) - 1} more)" if len(fatal) > 1 else ""
        raise PackError(
            f"The rule packs cannot be loaded: {fatal[0].file}:{fatal[0].line}: {fatal[0].what}{more}",
            cure="Run `liucun rules lint` and correct what it names.",
            problems=fatal,
        )


def load_packs(*folders: Path) -> PackSet:
    """Load the packs of folders; a rule of a later folder replaces the one with the same id of an earlier.

    Raises:
        PackError: a pack has a fault that keeps it from loading; all of them are in ``problems``.
    """
    found: dict[str, Rule] = {}
    problems: list[Problem] = []
    for folder in folders:
        read = read_packs(folder)
        problems.extend(read.problems)
        found |= {rule.id: rule for rule in read.rules}
    refuse_faulty(problems)
    return PackSet.of(found.values())
