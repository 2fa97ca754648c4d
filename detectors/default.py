"""The detector that a job uses when it asks for no other."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from detectors.base import Detector
from detectors.combined import CombinedDetector
from detectors.keywords.engine import KeywordDetector
from detectors.keywords.packset import load_packs
from detectors.model import default_model

PACKS: Final = Path(__file__).parent / "packs"
"""The folder of the packs that ship."""


@lru_cache(maxsize=1)
def default_keywords() -> KeywordDetector:
    """Return the keyword detector over the packs that ship.

    Raises:
        PackError: the packs are damaged.
    """
    return KeywordDetector(load_packs(PACKS))


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
