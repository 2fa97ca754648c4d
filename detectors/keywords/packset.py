"""All packs of one or more folders as one value, and the holder that survives a pack turned bad."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path

from detectors.errors import PackError
from detectors.keywords.packfile import GROUPS_FILE, read_groups, read_pack
from detectors.keywords.rules import Problem, Rule, State


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
            digest.update(repr(astuple(rule)[:-2]).encode())
        return cls(kept, f"keywords-{digest.hexdigest()[:12]}")

    def in_state(self, state: State, today: date | None = None) -> tuple[Rule, ...]:
        """Return the rules of a state that are in force ``today`` (default: all of them, whatever their dates)."""
        day = today.isoformat() if today else ""
        return tuple(
            rule
            for rule in self.rules
            if rule.state is state and (not day or ((rule.since or day) <= day <= (rule.until or day)))
        )


def read_folder(folder: Path) -> tuple[list[Rule], list[Problem]]:
    """Read every ``*.csv`` of a folder; what is wrong is returned, not raised."""
    if not folder.is_dir():
        return [], [
            Problem(str(folder), 0, "There is no such folder of packs.", "Name the folder that holds the packs.")
        ]
    rules: list[Rule] = []
    groups: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    groups_path = folder / GROUPS_FILE
    if groups_path.exists():
        groups, problems = read_groups(groups_path)
    for path in sorted(folder.glob("*.csv")):
        if path.name != GROUPS_FILE:
            text = read_pack(path, groups)
            rules.extend(text.rules)
            problems.extend(text.problems)
    return rules, problems


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


def load_packs(*folders: Path) -> PackSet:
    """Load the packs of folders; a rule of a later folder replaces the one with the same id of an earlier.

    Raises:
        PackError: a pack has a fault that keeps it from loading; all of them are in ``problems``.
    """
    found: dict[str, Rule] = {}
    problems: list[Problem] = []
    for folder in folders:
        rules, faults = read_folder(folder)
        problems.extend(faults)
        problems.extend(same_ids(rules))
        found |= {rule.id: rule for rule in rules}
    fatal = tuple(problem for problem in problems if problem.fatal)
    if fatal:
        more = f" (and {len(fatal) - 1} more)" if len(fatal) > 1 else ""
        raise PackError(
            f"The rule packs cannot be loaded: {fatal[0].file}:{fatal[0].line}: {fatal[0].what}{more}",
            cure="Run `liucun rules lint` and correct what it names.",
            problems=fatal,
        )
    return PackSet.of(found.values())


class LivePacks:
    """Holds the packs of a running job: a reload that fails leaves the last good packs in force."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self.current = load_packs(*folders)

    def reload(self) -> PackError | None:
        """Read the folders again; on a fault keep what is in force and return the alarm."""
        try:
            self.current = load_packs(*self._folders)
        except PackError as alarm:
            return alarm
        return None
