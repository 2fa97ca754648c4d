"""The detector that a job uses when it asks for no other."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from detectors.base import Detector
from detectors.combined import CombinedDetector
from detectors.keywords.engine import KeywordDetector
from detectors.keywords.packset import load_packs
from detectors.model import ModelDetector, default_model
from detectors.model.budget import read_queue
from detectors.model.second_look import second_look
from detectors.model.versions import installed

PACKS: Final = Path(__file__).parent / "packs"
"""The folder of the packs that ship."""


@lru_cache(maxsize=1)
def default_keywords() -> KeywordDetector:
    """Return the keyword detector over the packs that ship.

    Raises:
        PackError: the packs are damaged.
    """
    return KeywordDetector(load_packs(PACKS))


def installed_detector(models: Path) -> Detector:
    """Return the detector of a store: keywords, the model installed in its folder ``models`` (or the one that ships),
    and the queue's thresholds that were put in use there.

    Raises:
        PackError, ModelFileError: packs, the model or the thresholds are damaged.
    """
    model = default_model(installed(models)).model
    return CombinedDetector(
        (default_keywords(), ModelDetector(model, queue=read_queue(models), second=second_look(models)))
    )


@lru_cache(maxsize=4)
def default_detector(model: Path | None = None) -> Detector:
    """Return the detector of a job that names no other, built once a process: keyword rules and the learned model.

    Args:
        model: folder of a model, by default the one that ships.

    Raises:
        PackError: the packs are damaged.
        ModelFileError: the model is missing or damaged.
    """
    return CombinedDetector((default_keywords(), default_model(model)))
