"""Why a text scored as it did: its n-grams with their share of the margin and their spans in the original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.model.hashing import occurrences
from detectors.model.linear import LinearModel

Floats = npt.NDArray[np.float64]

_FADE: Final = 0.2
"""A span ends where what characters give falls below this part of the strongest one's."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One n-gram's share of a margin; ``start`` and ``end`` in code points of the original, end exclusive."""

    start: int
    end: int
    text: str
    weight: float
    view: str


def explain(model: LinearModel, text: str, label: str, limit: int = 10) -> list[Evidence]:
    """Return the ``limit`` n-grams that speak strongest for ``label``, strongest first."""
    weight, start, end, view, _ = _shares(model, pa.array([text], pa.string()), np.array([model.labels.index(label)]))
    order = np.argsort(-weight, kind="stable")[:limit]
    names = ("normalised", "pinyin")
    return [
        Evidence(int(start[k]), int(end[k]), text[start[k] : end[k]], float(weight[k]), names[view[k]])
        for k in order
        if weight[k] > 0
    ]


def strongest_spans(model: LinearModel, texts: pa.StringArray, labels: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return for each text the stretch [start, end) of code points that speaks strongest for its label.

    Each n-gram's share is spread over the characters it stands for; the stretch is the one with the largest sum above
    a fifth of the strongest character. A text without any evidence is returned whole.
    """
    weight, start, end, _, row = _shares(model, texts, labels)
    lengths = np.array([len(t) for t in texts.to_pylist()], np.int64)
    borders = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths + 1, out=borders[1:])
    spread = weight / np.maximum(end - start, 1)
    change = np.zeros(int(borders[-1]) + 1)
    np.add.at(change, borders[row] + start, spread)
    np.add.at(change, borders[row] + end, -spread)
    spans = []
    for n, length in enumerate(lengths):
        by_char = np.cumsum(change[borders[n] : borders[n] + length])
        top = by_char.max(initial=0.0)
        if top <= 0:
            spans.append((0, int(length)))
            continue
        sums = np.concatenate([[0.0], np.cumsum(by_char - _FADE * top)])
        lowest = np.minimum.accumulate(sums)
        last = int(np.argmax(sums - lowest))
        first = int(np.flatnonzero(sums[: last + 1] == lowest[last])[-1])
        spans.append((first, last))
    return spans


def _shares(
    model: LinearModel, texts: pa.StringArray, labels: npt.NDArray[np.int64]
) -> tuple[Floats, npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """List all n-grams: share of their row's label's margin, start, end, view and row."""
    weights, starts, ends, which, rows = [], [], [], [], []
    idf = np.zeros(len(texts))
    for number, view in enumerate(model.views(texts)):
        found = occurrences(view, number, model.bits)
        gathered = model.weights[found.bucket]
        idf += np.bincount(found.row, gathered[:, 0], len(texts))
        label = labels[found.row]
        weights.append(gathered[np.arange(len(label)), 1 + label] * model.scale[label])
        starts.append(view.start[found.first])
        ends.append(view.end[found.last])
        which.append(np.full(len(label), number))
        rows.append(found.row)
    row = np.concatenate(rows)
    norm = np.sqrt(np.maximum(idf, 1) * model.idf_step)
    return np.concatenate(weights) / norm[row], np.concatenate(starts), np.concatenate(ends), np.concatenate(which), row
