"""Which rules a store runs: the packs that ship, those its settings name, its folder ``rules/``, and its switches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from detectors.base import Detector
from detectors.combined import CombinedDetector
from detectors.default import PACKS, default_detector
from detectors.keywords.engine import KeywordDetector
from detectors.keywords.layers import SETTINGS, Layers, Switches, load_layers, read_layers
from detectors.keywords.packset import PackSet, refuse_faulty
from detectors.keywords.rules import Rule, State
from detectors.model import ModelDetector, default_model
from detectors.model.budget import read_queue
from detectors.model.second_look import second_look
from detectors.model.versions import installed
from liucun.times import SHANGHAI

if TYPE_CHECKING:
    # Settings know every room: half a second that text on standard input need not wait for.
    from liucun.settings import DetectSettings

RULES: Final = "rules"
"""Folder of a store's own packs."""
MODELS: Final = "models"
"""Folder of a store's installed models."""


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
    if not (root / SETTINGS).exists():
        return Layers((PACKS,))
    from liucun.settings import read_settings

    return layers_of(root, read_settings(root).detect)


def detector_at(root: Path, model: Path | None = None) -> Detector:
    """The detector of the store in ``root`` (what ships where there is no store), or with another ``model``.

    Raises:
        SettingsError, PackError, ModelFileError: settings, packs or the model are missing or damaged.
    """
    if not (root / SETTINGS).exists():
        return default_detector(model)
    keywords = KeywordDetector(load_layers(layers_at(root), today()))
    models = root / MODELS
    second = second_look(models) if model is None else None
    chosen = ModelDetector(default_model(model or installed(models)).model, queue=read_queue(models), second=second)
    return CombinedDetector((keywords, chosen))


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
