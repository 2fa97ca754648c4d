"""Which rules a store runs: the packs that ship, those its settings name, its folder ``rules/``, and its switches."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Final

from detectors.default import PACKS
from detectors.keywords.layers import Layers, Switches
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


def today() -> date:
    """The day in Shanghai, by which the dates of rules count."""
    return datetime.now(SHANGHAI).date()
