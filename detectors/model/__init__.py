"""The learned detector: a linear model over hashed character n-grams of two views."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from detectors.model.detector import ModelDetector
from detectors.model.files import load, save
from detectors.model.linear import LinearModel

SHIPPED: Final = Path(__file__).parent / "shipped"
"""Folder of the model that ships, made by ``make model``."""

__all__ = ["SHIPPED", "LinearModel", "ModelDetector", "default_model", "load", "save"]


@lru_cache(maxsize=2)
def default_model(folder: Path | None = None) -> ModelDetector:
    """Return the detector of the model in ``folder``, by default the one that ships; read once a process.

    Raises:
        ModelFileError: the model is missing or damaged.
    """
    return ModelDetector(load(folder or SHIPPED))
