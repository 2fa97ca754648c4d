"""The learned detector: a model behind the interface that all detectors share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.base import FINDING_SCHEMA, string_column
from detectors.model.decide import Decisions, category_of, decide
from detectors.model.explain import strongest_spans
from detectors.model.linear import LinearModel
from detectors.model.second_look import SecondLook

CONFIRMED: Final = 1
HARMLESS: Final = 2
"""What a second look said; 0 where there was none."""
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

    ``second`` looks again at texts of which the model is unsure: what it calls illegal is a finding with its label and
    score, the rule ending in ``:second``; what it calls harmless stays a finding of the sampling queue if the model
    found it.
    """

    def __init__(
        self,
        model: LinearModel,
        thresholds: dict[str, float] | None = None,
        queue: dict[str, float] | None = None,
        second: SecondLook | None = None,
    ) -> None:
        self.model = model
        self.thresholds = {**model.thresholds, **(thresholds or {})}
        self.queue = queue or {}
        self.second = second

    @property
    def version(self) -> str:
        """The model's version, and that of the second look."""
        return self.model.version if self.second is None else f"{self.model.version}+{self.second.version}"

    def detect(self, texts: pa.StringArray) -> pa.RecordBatch:
        """Return the findings of ``n`` texts (nulls allowed) in ``FINDING_SCHEMA``, ordered by row."""
        model, texts = self.model, string_column(texts)
        rows, probabilities = model.suspects(texts)
        decided = decide(probabilities, model.labels, model.none_label, self.thresholds, model.apart)
        again = None
        if self.second is not None:
            decided, again = self._looked_again(self.second, texts, rows, decided)
        rows, label, score = rows[decided.illegal], decided.label[decided.illegal], decided.score[decided.illegal]
        if not len(rows):
            return _empty()
        found = texts.take(pa.array(rows)).fill_null("")
        spans = strongest_spans(model, found, label)
        n = len(rows)
        categories = [category_of(name) for name in model.labels]
        limits = np.array([self.queue.get(category, 0.0) for category in categories])
        sampled = score < limits[label]
        ends = np.zeros(n, np.int64)
        if again is not None:
            ends = again[decided.illegal]
            sampled |= ends == HARMLESS
        kind = np.where(sampled, 1, np.where(ends == CONFIRMED, 2, 0))
        severity = np.array([SEVERITY.get(category, 2) for category in categories], np.int8)[label]
        rules = [f"model:{name}{end}" for name in model.labels for end in ("", ":sampling", ":second")]
        return pa.record_batch(
            [
                pa.array(rows.astype(np.int32)),
                _named(rules, 3 * label + kind),
                _named(categories, label),
                _named([name.partition("/")[2] or None for name in model.labels], label),
                pa.array(np.where(sampled, np.int8(1), severity)),
                pa.array([start for start, _ in spans], pa.int32()),
                pa.array([end for _, end in spans], pa.int32()),
                pa.array([t[start:end] for t, (start, end) in zip(found.to_pylist(), spans, strict=True)], pa.string()),
                pa.array(score.astype(np.float32)),
                pa.array([self.version] * n),
            ],
            schema=FINDING_SCHEMA,
        )

    def _looked_again(
        self, second: SecondLook, texts: pa.StringArray, rows: npt.NDArray[np.int64], decided: Decisions
    ) -> tuple[Decisions, npt.NDArray[np.int64]]:
        """Let the encoder decide where the model is unsure; return the decisions and what it said of each row."""
        said = np.zeros(len(rows), np.int64)
        which = second.chosen(decided.score)
        if not len(which):
            return decided, said
        asked = texts.take(pa.array(rows[which])).fill_null("").to_pylist()
        names, scores = _likeliest(second, asked, self.model.labels)
        label, score, illegal = decided.label.copy(), decided.score.copy(), decided.illegal.copy()
        confirmed = scores >= second.threshold
        named = confirmed & (np.array(names) >= 0)
        label[which[named]] = np.array(names)[named]
        score[which[confirmed]] = scores[confirmed]
        illegal[which[confirmed]] = True
        said[which] = np.where(confirmed, CONFIRMED, HARMLESS)
        return Decisions(label, score, illegal), said


def _likeliest(second: SecondLook, texts: list[str], labels: list[str]) -> tuple[list[int], npt.NDArray[np.float64]]:
    """Ask the encoder; its labels as numbers of the model's, -1 for one that the model has not."""
    names, scores = second.scores(texts)
    return [labels.index(name) if name in labels else -1 for name in names], scores


def _named(names: Sequence[str | None], numbers: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(numbers))


def _empty() -> pa.RecordBatch:
    return pa.record_batch([pa.array([], field.type) for field in FINDING_SCHEMA], schema=FINDING_SCHEMA)
