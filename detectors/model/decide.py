"""From probabilities to decisions: which rows are findings, of which label, how sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decisions:
    """By row: index of the likeliest label but ``none``, the probability that the row is illegal, the verdict."""

    label: npt.NDArray[np.int64]
    score: Floats
    illegal: npt.NDArray[np.bool_]


def category_of(label: str) -> str:
    """A label's category: what stands before its slash (``abuse/hostility`` is abuse of another kind and precision)."""
    return label.partition("/")[0]


def decide(probabilities: Floats, labels: list[str], none_label: str | None, thresholds: dict[str, float]) -> Decisions:
    """Decide ``n`` rows of probabilities (n × labels).

    With a none label the score is what is left beside it, so that a text torn between two illegal labels counts in
    full; without one it is the label's own probability. The threshold is the likeliest label's.
    """
    rows = np.arange(len(probabilities))
    if none_label is None:
        label = probabilities.argmax(axis=1)
        score = probabilities[rows, label]
    else:
        none = labels.index(none_label)
        others = probabilities.copy()
        others[:, none] = -1
        label = others.argmax(axis=1)
        score = 1 - probabilities[:, none]
    limits = np.array([thresholds.get(name, 2.0) for name in labels])
    return Decisions(np.asarray(label, np.int64), np.asarray(score, np.float64), np.asarray(score >= limits[label]))
