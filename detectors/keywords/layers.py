"""Packs in layers: those that ship, the operator's over them, and the operator's switches over both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from detectors.keywords.packset import PackSet, in_force, read_packs, refuse_faulty
from detectors.keywords.rules import Problem, Rule, State

SETTINGS: Final = "liucun.toml"
"""File whose ``[detect]`` section holds the switches."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Ids of rules, ``*`` for any characters: ``disable`` off, ``shadow`` counted only, ``enable`` live.

    Where several name a rule, the first of these three counts.
    """

    disable: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()

    def state_of(self, rule: Rule) -> State:
        """The state in which a rule runs."""
        for patterns, state in self._each():
            if any(fnmatchcase(rule.id, pattern) for pattern in patterns):
                return state
        return rule.state

    def idle(self, rules: Iterable[Rule]) -> Iterator[Problem]:
        """Switches that name no rule: a rule believed to be off may be on."""
        ids = {rule.id for rule in rules}
        for (patterns, _), name in zip(self._each(), ("disable", "shadow", "enable"), strict=True):
            for pattern in patterns:
                if pattern not in ids and not any(fnmatchcase(one, pattern) for one in ids):
                    what = f"[detect] {name} names {pattern!r}, and no rule is called so."
                    yield Problem(SETTINGS, 1, what, "Correct it; `liucun rules list` shows the ids.", fatal=False)

    def _each(self) -> tuple[tuple[tuple[str, ...], State], ...]:
        return (self.disable, State.DRAFT), (self.shadow, State.SHADOW), (self.enable, State.LIVE)


@dataclass(frozen=True, slots=True)
class Layers:
    """Where the rules of a job come from: folders or single packs, later over earlier, and switches over all.

    A path of ``optional`` need not exist; it is looked for again at every reload.
    """

    paths: tuple[Path, ...]
    switches: Switches = Switches()
    optional: tuple[Path, ...] = ()

    @property
    def present(self) -> tuple[Path, ...]:
        """The paths that count now, in the order in which they are laid."""
        return (*self.paths, *(path for path in self.optional if path.exists()))


@dataclass(frozen=True, slots=True)
class Layered:
    """All rules as written and as they run on a day, with every problem found; ``meta`` by file."""

    written: tuple[Rule, ...]
    running: PackSet
    problems: tuple[Problem, ...]
    meta: dict[str, dict[str, str]]


def read_layers(layers: Layers, today: date | None = None) -> Layered:
    """Read all layers. Drafts, and rules out of their dates ``today``, run as drafts: not at all."""
    rules: dict[str, Rule] = {}
    problems: list[Problem] = []
    meta: dict[str, dict[str, str]] = {}
    for path in layers.present:
        read = read_packs(path)
        rules |= {rule.id: rule for rule in read.rules}
        problems.extend(read.problems)
        meta |= read.meta
    written = tuple(rules.values())
    problems.extend(layers.switches.idle(written))
    running = []
    for rule in written:
        state = layers.switches.state_of(rule)
        if today is not None and not in_force(rule, today):
            state = State.DRAFT
        running.append(rule if state is rule.state else replace(rule, state=state))
    return Layered(written, PackSet.of(running), tuple(problems), meta)


def load_layers(layers: Layers, today: date | None = None) -> PackSet:
    """Load all layers as they run.

    Raises:
        PackError: a pack has a fault that keeps it from loading; all of them are in ``problems``.
    """
    read = read_layers(layers, today)
    refuse_faulty(read.problems)
    return read.running
