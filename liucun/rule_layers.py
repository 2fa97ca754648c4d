"""Which rules a store runs: the packs that ship, those its settings name, its folder ``rules/``, and its switches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

from detectors.default import PACKS
from detectors.keywords.layers import Layers, Switches, read_layers
from detectors.keywords.packset import PackSet, refuse_faulty
from detectors.keywords.rules import Rule, State
from liucun.settings import FILE_NAME, DetectSettings, read_settings
from liucun.times import SHANGHAI

RULES: Final = "rules"
"""Folder of a store's own packs."""


def layers_of(root: Path, detect: DetectSettings) -> Layers:
    """The layers of the store in ``root``; its own folder of packs is looked for even if it comes later."""
    switches = Switches(disable=detect.disable, shadow=detect.shadow, enable=detect.enable)
    own = (root / RULES).absolute()
    return Layers((PACKS, *((root / name).absolute() for name in detect.packs)), switches, (own,))


def layers_at(root: Path) -> Layers:
    """The layers of the store in ``root``, or those that ship where there is no store.

    Raises:
        SettingsError: the store's settings are damaged.
    """
    if not (root / FILE_NAME).exists():
        return Layers((PACKS,))
    return layers_of(root, read_settings(root).detect)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Rules to try beside those that run today; ``written`` holds both as their packs write them, by id.

    ``tried`` are the ids of the rules that are tried: all of the packs named, or those that do not run live today.
    """

    candidate: PackSet
    today: PackSet
    written: dict[str, Rule]
    tried: frozenset[str]


def candidate_of(layers: Layers, paths: tuple[Path, ...], day: date) -> Candidate:
    """The store's rules with the packs of ``paths`` over them; without paths with all of them running.

    Raises:
        PackError: a pack has a fault that keeps it from loading.
    """
    now = read_layers(layers, day)
    tried = read_layers(Layers(paths)) if paths else now
    refuse_faulty((*now.problems, *tried.problems))
    awake = {rule.id: replace(rule, state=State.LIVE) for rule in tried.written}
    rules = {rule.id: rule for rule in now.running.rules} | awake
    written = {rule.id: rule for rule in (*now.written, *tried.written)}
    live = {rule.id for rule in now.running.rules if rule.state is State.LIVE}
    ids = frozenset(awake) if paths else frozenset(awake) - live
    return Candidate(PackSet.of(rules.values()), now.running, written, ids)


def today() -> date:
    """The day in Shanghai, by which the dates of rules count."""
    return datetime.now(SHANGHAI).date()
