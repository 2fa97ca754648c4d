"""Why a text scored as it did: its n-grams with their share of the margin and their spans in the original."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

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
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    borders = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths + 1, out=borders[1:])
    if "detectors.model.kernels" in sys.modules:
        from detectors.model.span_kernels import compiled_stretches

        spans = compiled_stretches(_compiled_changes(model, texts, labels, borders), borders, _FADE)
    else:
        weight, start, end, _, row = _shares(model, texts, labels)
        spread = weight / np.maximum(end - start, 1)
        size = int(borders[-1]) + 1
        change = np.bincount(borders[row] + start, spread, size) - np.bincount(borders[row] + end, spread, size)
        spans = stretches(change, borders, _FADE)
    return [(first, last) for first, last in spans.tolist()]


def _compiled_changes(
    model: LinearModel, texts: pa.StringArray, labels: npt.NDArray[np.int64], borders: npt.NDArray[np.int64]
) -> Floats:
    """Return by how much the evidence rises or falls at each character, as ``_shares`` has it, summed alike."""
    from detectors.model.span_kernels import add_idf, add_shares

    views = model.views(texts)
    idf = np.zeros(len(texts))
    for number, view in enumerate(views):
        add_idf(view.tokens, view.rows, number == 1, model.weights, idf)
    norm = model.norm(idf)
    rise, fall = np.zeros(int(borders[-1]) + 1), np.zeros(int(borders[-1]) + 1)
    for number, view in enumerate(views):
        add_shares(
            view.tokens, view.start, view.end, view.rows, number == 1, model.weights, labels, model.scale, norm,
            borders, rise, fall,
        )  # fmt: skip
    return np.asarray(rise - fall, np.float64)


def stretches(change: Any, borders: Any, fade: Any) -> Any:
    """Return for each text the stretch with the largest sum above ``fade`` of its strongest character.

    ``change`` holds by how much the evidence rises or falls at each character; text ``n`` owns
    ``borders[n]:borders[n+1]``, the last place being the end. Loops, as this is compiled too.
    """
    spans = np.zeros((borders.shape[0] - 1, 2), np.int64)
    for n in range(borders.shape[0] - 1):
        low, high = borders[n], borders[n + 1] - 1
        top = 0.0
        here = 0.0
        for k in range(low, high):
            here += change[k]
            top = max(top, here)
        if top <= 0:
            spans[n, 1] = high - low
            continue
        best = 0.0
        running = 0.0
        begin = low
        here = 0.0
        for k in range(low, high):
            here += change[k]
            if running <= 0:
                running = 0.0
                begin = k
            running += here - fade * top
            if running > best:
                best = running
                spans[n, 0] = begin - low
                spans[n, 1] = k + 1 - low
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
    norm = model.norm(idf)
    return np.concatenate(weights) / norm[row], np.concatenate(starts), np.concatenate(ends), np.concatenate(which), row
