"""The learned detector: a model behind the interface that all detectors share."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from detectors.base import FINDING_SCHEMA
from detectors.model.decide import category_of, decide
from detectors.model.explain import strongest_spans
from detectors.model.linear import LinearModel

SEVERITY: Final = {
    "gambling": 3,
    "pornography": 3,
    "abuse": 2,
    "fraud": 3,
    "illicit_advertising": 3,
    "drugs": 4,
    "weapons": 4,
    "incitement": 4,
    "prohibited_goods": 3,
    "contact_diversion": 1,
}
"""Severity by category; labels that are no category of ours have 2."""


class ModelDetector:
    """Finds illegal content by a linear model: one finding a text, of its likeliest label.

    ``thresholds`` replaces the model's own by label. ``queue`` names, by category, the score from which a finding is
    for reviewers; one below it is for the sampling queue 抽检: same finding, of the lowest severity, its rule ending in
    ``:sampling``.
    """

    def __init__(
        self, model: LinearModel, thresholds: dict[str, float] | None = None, queue: dict[str, float] | None = None
    ) -> None:
        self.model = model
        self.thresholds = {**model.thresholds, **(thresholds or {})}
        self.queue = queue or {}

    @property
    def version(self) -> str:
        """The model's version."""
        return self.model.version

    def detect(self, texts: pa.StringArray) -> pa.RecordBatch:
        """Return the findings of ``n`` texts (nulls allowed) in ``FINDING_SCHEMA``, ordered by row."""
        model = self.model
        rows, probabilities = model.suspects(texts)
        decided = decide(probabilities, model.labels, model.none_label, self.thresholds)
        rows, label, score = rows[decided.illegal], decided.label[decided.illegal], decided.score[decided.illegal]
        if not len(rows):
            return _empty()
        found = texts.take(pa.array(rows)).fill_null("")
        spans = strongest_spans(model, found, label)
        names = [model.labels[k] for k in label]
        sampled = [s < self.queue.get(category_of(name), 0.0) for s, name in zip(score.tolist(), names, strict=True)]
        severity = [SEVERITY.get(category_of(name), 2) for name in names]
        n = len(rows)
        return pa.record_batch(
            [
                pa.array(rows.astype(np.int32)),
                pa.array([f"model:{m}:sampling" if s else f"model:{m}" for m, s in zip(names, sampled, strict=True)]),
                pa.array([category_of(name) for name in names]),
                pa.array([name.partition("/")[2] or None for name in names], pa.string()),
                pa.array([1 if s else own for own, s in zip(severity, sampled, strict=True)], pa.int8()),
                pa.array([start for start, _ in spans], pa.int32()),
                pa.array([end for _, end in spans], pa.int32()),
                pa.array([t[start:end] for t, (start, end) in zip(found.to_pylist(), spans, strict=True)], pa.string()),
                pa.array(score.astype(np.float32)),
                pa.array([self.version] * n),
            ],
            schema=FINDING_SCHEMA,
        )


def _empty() -> pa.RecordBatch:
    return pa.record_batch([pa.array([], field.type) for field in FINDING_SCHEMA], schema=FINDING_SCHEMA)
