"""Measuring a model: by class, on harmless text, calibration, and recall kept under each disguise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.corpus.disguises import DISGUISES, disguise
from detectors.model.decide import category_of, decide
from detectors.model.linear import LinearModel

BINS: Final = 10
MAX_DISGUISED: Final = 2000
"""Texts that are disguised to measure recall: enough for half a per cent, few enough for seconds."""


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Figures of one label, 0..1; ``support`` counts its rows."""

    label: str
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What ``evaluate`` measured.

    ``recall`` is the share of illegal rows that are found at the model's thresholds, whatever label they get;
    ``false_alarms`` the share of harmless rows found (None without any); ``disguised`` recall by disguise;
    ``calibration_error`` the mean gap between probability and accuracy over ten bins, weighted by rows.
    """

    model: str
    rows: int
    unknown_labels: list[str]
    accuracy: float
    macro_f1: float
    classes: list[ClassFigures]
    recall: float | None
    false_alarms: float | None
    harmless_rows: int
    harmless_false_alarms: float | None
    calibration_error: float
    disguised: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def evaluate(
    model: LinearModel,
    texts: pa.StringArray,
    labels: list[str],
    *,
    harmless: pa.StringArray | None = None,
    disguises: bool = True,
    seed: int = 0,
) -> Evaluation:
    """Measure a model on ``n`` labelled texts, and its false alarms on ``harmless`` texts.

    Labels that the model does not know count as errors and are listed.
    """
    own = [label if label in labels else category_of(label) for label in model.labels]
    names = sorted(set(labels) | set(own))
    index = {name: k for k, name in enumerate(names)}
    truth = np.array([index[label] for label in labels])
    probabilities = model.probabilities(texts)
    summed = np.zeros((len(truth), len(names)))
    for column, name in enumerate(own):
        summed[:, index[name]] += probabilities[:, column]
    guess = summed.argmax(axis=1)
    decided = decide(probabilities, model.labels, model.none_label, model.thresholds, model.apart)
    classes = [_figures(name, truth == k, guess == k) for name, k in index.items() if name in set(labels)]
    none = index[model.none_label] if model.none_label is not None else -1
    bad, good = truth != none, truth == none
    return Evaluation(
        model=model.version,
        rows=len(truth),
        unknown_labels=sorted(set(labels) - set(own)),
        accuracy=float((truth == guess).mean()),
        macro_f1=float(np.mean([c.f1 for c in classes])),
        classes=classes,
        recall=_mean(decided.illegal[bad]),
        false_alarms=_mean(decided.illegal[good]),
        harmless_rows=0 if harmless is None else len(harmless),
        harmless_false_alarms=None if harmless is None else false_alarm_rate(model, harmless),
        calibration_error=_calibration_error(summed.max(axis=1), truth == guess),
        disguised=_disguised(model, texts.filter(pa.array(bad)), seed) if disguises and bad.any() else {},
    )


def false_alarm_rate(model: LinearModel, harmless: pa.StringArray) -> float:
    """Return the share of harmless texts that the model takes for illegal."""
    _, probabilities = model.suspects(harmless)
    found = decide(probabilities, model.labels, model.none_label, model.thresholds, model.apart).illegal
    return float(found.sum()) / max(len(harmless), 1)


def recall_at_thresholds(model: LinearModel, texts: pa.StringArray) -> float:
    """Return the share of texts that the model finds illegal: ``false_alarm_rate``'s sum, of illegal texts."""
    return false_alarm_rate(model, texts)


def _disguised(model: LinearModel, texts: pa.StringArray, seed: int) -> dict[str, float]:
    some = texts.to_pylist()
    if len(some) > MAX_DISGUISED:
        chosen = np.sort(np.random.default_rng(seed).choice(len(some), MAX_DISGUISED, replace=False))
        some = [some[k] for k in chosen]
    return {n: recall_at_thresholds(model, pa.array(disguise(some, n, seed), pa.string())) for n in DISGUISES}


def _figures(name: str, mine: npt.NDArray[np.bool_], guessed: npt.NDArray[np.bool_]) -> ClassFigures:
    hits = int((mine & guessed).sum())
    precision = hits / max(int(guessed.sum()), 1)
    recall = hits / max(int(mine.sum()), 1)
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return ClassFigures(name, int(mine.sum()), precision, recall, f1)


def _calibration_error(sure: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, sure, BINS) - np.bincount(bins, right, BINS)
    return float(np.abs(gaps).sum() / max(len(sure), 1))


def _mean(values: npt.NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None
