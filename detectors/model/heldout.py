"""How the default detector does on template families of the corpus that it has not seen, plain and disguised.

A model is trained without a fifth of the families, always the same ones; keywords and that model are then measured on
them as one detector, at its own thresholds, beside its false alarms on harmless texts.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.base import Detector
from detectors.combined import CombinedDetector
from detectors.corpus.disguises import DISGUISES, disguise
from detectors.corpus.families import NONE, Example, examples
from detectors.model.detector import ModelDetector
from detectors.model.labelled import read_texts
from detectors.model.linear import LinearModel
from detectors.model.shipping import OPTIONS, corpus_rows, shared_rows, train_shipped

PARTS: Final = 5
BENIGN: Final = ("benign_shopping_half.csv.gz", "benign_hotel.csv.gz")
"""Reviews that nothing is trained on."""
SEED: Final = 7


@dataclass(frozen=True, slots=True)
class CategoryFigures:
    """One category: its held-out families and rows, the share found, the share of those found under its own name."""

    category: str
    families: int
    rows: int
    recall: float
    right: float


@dataclass(frozen=True, slots=True)
class HeldOutReport:
    """``recall`` and ``disguised`` are shares of illegal rows found; ``false_alarms`` of rows by set of texts, of all
    sets of reviews together under ``reviews``, and of the corpus's own hard harmless families under ``hard families``.
    """

    detector: str
    families: int
    rows: int
    recall: float
    categories: list[CategoryFigures]
    disguised: dict[str, float]
    disguised_by_category: dict[str, dict[str, float]]
    false_alarms: dict[str, float]
    thresholds: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def held_out(name: str, parts: int = PARTS) -> bool:
    """Say whether a family or theme is in the part that measures; the same one always."""
    return hashlib.sha256(name.encode()).digest()[0] % parts == 0


def measure_families(text: Path, keywords: Detector, *, by_theme: bool = False) -> HeldOutReport:
    """Train without a fifth of the families (or of the themes) and measure on it.

    Args:
        text: folder with COLD, SWSR and the harmless reviews.
        keywords: the keyword detector that stands beside the model.
        by_theme: hold out whole themes, which is what an unknown kind of content is like.

    Raises:
        TrainingDataError: the folder lacks a file.
    """
    corpus = examples()
    key = [one.family.rpartition("/")[0] if by_theme else one.family for one in corpus]
    inside = [one for one, k in zip(corpus, key, strict=True) if not held_out(k)]
    outside = [one for one, k in zip(corpus, key, strict=True) if held_out(k)]
    model = train_shipped([corpus_rows(inside), shared_rows(text)], OPTIONS).model
    return measure(model, keywords, outside, {name: read_texts(text / name) for name in BENIGN})


def measure(
    model: LinearModel, keywords: Detector, outside: list[Example], harmless: dict[str, pa.StringArray]
) -> HeldOutReport:
    """Measure keywords and a model as one detector."""
    detector = CombinedDetector((keywords, ModelDetector(model)))
    illegal = [one for one in outside if one.category != NONE]
    texts = [one.text for one in illegal]
    category = np.array([one.category for one in illegal])
    found, right = _found(detector, pa.array(texts, pa.string()), category)
    names = sorted(set(category.tolist()))
    under = {
        name: _found(detector, pa.array(disguise(texts, name, SEED), pa.string()), category)[0] for name in DISGUISES
    }
    hits = {name: _found(detector, column)[0] for name, column in harmless.items()}
    hard = pa.array([one.text for one in outside if one.category == NONE], pa.string())
    return HeldOutReport(
        detector=detector.version,
        families=len({one.family for one in illegal}),
        rows=len(texts),
        recall=float(found.mean()),
        categories=[
            CategoryFigures(
                name,
                len({one.family for one in illegal if one.category == name}),
                int((category == name).sum()),
                float(found[category == name].mean()),
                float(right[found & (category == name)].mean()) if (found & (category == name)).any() else 0.0,
            )
            for name in names
        ],
        disguised={name: float(hit.mean()) for name, hit in under.items()},
        disguised_by_category={
            name: {c: float(hit[category == c].mean()) for c in names} for name, hit in under.items()
        },
        false_alarms={
            **{name: float(hit.mean()) for name, hit in hits.items()},
            "reviews": float(np.concatenate(list(hits.values())).mean()) if hits else 0.0,
            "hard families": float(_found(detector, hard)[0].mean()) if len(hard) else 0.0,
        },
        thresholds=model.thresholds,
    )


def _found(
    detector: Detector, texts: pa.StringArray, category: npt.NDArray[np.str_] | None = None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which rows are found, and which under their own category."""
    findings = detector.detect(texts)
    rows = findings.column("row").to_numpy()
    found, right = np.zeros(len(texts), np.bool_), np.zeros(len(texts), np.bool_)
    found[rows] = True
    if category is not None:
        own = np.array(findings.column("category").to_pylist(), dtype=np.str_)
        right[rows[own == category[rows]]] = True
    return found, right
