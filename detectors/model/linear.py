"""The model: weights by hashed n-gram, and the margins and probabilities of a column.

A margin is ``sum(count · weight) / sqrt(prior + sum(count · idf²)) + bias``, the n-grams of
both views together. The prior makes a comment of three characters speak softer than
a page. Both sums are of int8 values, so the NumPy and the compiled engine agree bit
for bit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.model.hashing import LENGTHS, occurrences
from detectors.model.repeated import shortened
from detectors.model.tables import ViewTables
from detectors.model.views import View, folded_view, pinyin_view, string_buffers, utf32

if TYPE_CHECKING:
    from detectors.model.gate import Gate

Floats = npt.NDArray[np.float64]

BLOCK: Final = 8
"""Columns are padded to a multiple of this: the compiled engine adds them as 64-bit words."""
LEAST_THRESHOLD: Final = 0.3
"""The lowest probability that training chooses as a threshold."""
COMPILE_FROM: Final = 2048
COMPILE_BYTES: Final = 1 << 20
"""Columns of fewer rows and bytes are scored by NumPy until compiled code is loaded, which costs more."""
_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class LinearModel:
    """Weights (2**bits × columns, int8): column 0 the squared idf, then one column a label, padded to blocks of 8.

    ``scale`` and ``bias`` by label; ``idf_step`` is the unit of column 0 and of ``prior``, the squared
    idf that every text has before its own; ``calibration`` (labels + 1 × labels) maps
    margins to logits, its last row the constants. ``thresholds`` by label: the probability from which a text counts
    as a finding. ``none_label`` is the label that means "nothing illegal", if there is one, and ``gate`` the largest
    margin of it that a finding can have. Labels ``apart`` do not count for the others (``decide.claims``).
    """

    labels: list[str]
    none_label: str | None
    bits: int
    pinyin: bool
    weights: npt.NDArray[np.int8]
    scale: Floats
    bias: Floats
    idf_step: float
    calibration: Floats
    thresholds: dict[str, float]
    tables: ViewTables
    gate: float | None = None
    apart: tuple[str, ...] = ()
    prior: int = 0
    info: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    _words: npt.NDArray[np.uint64] | None = field(default=None, init=False, repr=False)
    _gate: Gate | None = field(default=None, init=False, repr=False)

    @property
    def none_index(self) -> int:
        """Index of ``none_label``, -1 if there is none."""
        return self.labels.index(self.none_label) if self.none_label is not None else -1

    def norm(self, idf: npt.NDArray[Any]) -> Floats:
        """Return what divides the sum of a text's weights, by its sum of squared idf in steps."""
        return np.asarray(np.sqrt(np.maximum(idf + self.prior, 1) * self.idf_step), np.float64)

    def views(self, texts: pa.StringArray) -> list[View]:
        """Return the views that this model reads of a column: normalised, and pinyin if it has one."""
        view = folded_view(*utf32(texts), self.tables)
        return [view, pinyin_view(view, self.tables)] if self.pinyin else [view]

    def margins(self, texts: pa.StringArray, *, compiled: bool | None = None) -> Floats:
        """Return margins (n × labels) of ``n`` texts; ``compiled`` forces or forbids the compiled engine."""
        return self._margins(self._sums(texts, compiled))

    def probabilities(self, texts: pa.StringArray, *, compiled: bool | None = None) -> Floats:
        """Return calibrated probabilities (n × labels, each row adds up to 1)."""
        likely = softmax(self.margins(texts, compiled=compiled), self.calibration)
        if self.none_label is not None:
            self._calm(texts, np.arange(len(texts)), likely, compiled)
        return likely

    def suspects(self, texts: pa.StringArray, *, compiled: bool | None = None) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return the rows that pass the gate, ascending, and their probabilities (rows × labels).

        The gate is the margin of ``none_label``: a row above it is taken as harmless after one cheap sum. Without a
        gate every row passes. A text that repeats itself is no surer than with two of its repeats (``repeated``).
        """
        found = [np.zeros(0, np.int64)]
        likely = [np.zeros((0, len(self.labels)))]
        for passed, all_sums in self._pieces(texts, compiled, gated=self.gate is not None):
            rows, sums = passed, all_sums
            if self.none_label is not None:
                # A finding must have something to show: without one n-gram that speaks for a label there is none.
                speaks = sums[:, 1 : 1 + len(self.labels)] > 0
                speaks[:, self.none_index] = False
                which = speaks.any(axis=1)
                rows, sums = rows[which], sums[which]
            found.append(rows)
            likely.append(softmax(self._margins(sums), self.calibration))
        near, probabilities = np.concatenate(found), np.concatenate(likely)
        if self.none_label is not None:
            self._calm(texts, near, probabilities, compiled)
        return near, probabilities

    def _calm(self, texts: pa.StringArray, rows: npt.NDArray[np.int64], likely: Floats, compiled: bool | None) -> None:
        """Take the probabilities of the text without its further repeats where they are the more harmless ones."""
        near = np.flatnonzero(1 - likely[:, self.none_index] >= LEAST_THRESHOLD)
        again, short = shortened(texts.take(pa.array(rows[near])))
        if not len(again):
            return
        calmer = softmax(self._margins(self._sums(short, compiled)), self.calibration)
        better = calmer[:, self.none_index] > likely[near[again], self.none_index]
        likely[near[again][better]] = calmer[better]

    def _margins(self, sums: npt.NDArray[np.int64]) -> Floats:
        norm = self.norm(sums[:, :1])
        return np.asarray(sums[:, 1 : 1 + len(self.labels)] * self.scale / norm + self.bias, np.float64)

    def _sums(self, texts: pa.StringArray, compiled: bool | None) -> npt.NDArray[np.int64]:
        """Return the integer sums (n × columns) of a column, null counting as empty."""
        empty = np.zeros((0, self.weights.shape[1]), np.int64)
        return np.concatenate([empty, *(sums for _, sums in self._pieces(texts, compiled, gated=False))])

    def _pieces(
        self, texts: pa.StringArray, compiled: bool | None, *, gated: bool
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Yield a column in pieces of ``_CHUNK`` bytes or one row: the rows that passed the gate, and their sums."""
        if texts.null_count:
            texts = texts.fill_null("")
        _, offsets = string_buffers(texts)
        if compiled is None:
            large = len(texts) >= COMPILE_FROM or int(offsets[-1]) - int(offsets[0]) >= COMPILE_BYTES
            compiled = large or "detectors.model.kernels" in sys.modules
        engine = self._compiled if compiled else self._numpy
        low = 0
        while low < len(texts):
            high = int(np.searchsorted(offsets, int(offsets[low]) + _CHUNK, side="right")) - 1
            high = min(max(high, low + 1), len(texts))
            rows, sums = engine(texts.slice(low, high - low), gated)
            yield rows + low, sums
            low = high

    def _compiled(self, texts: pa.StringArray, gated: bool) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        from detectors.model import kernels
        from detectors.model.gate import Gate

        if self._words is None:
            self._words = kernels.packed_words(self.weights)
        data, offsets = string_buffers(texts)
        rows = np.arange(len(texts))
        if gated and self.gate is not None:
            if self._gate is None:
                none = self.none_index
                margin = (float(self.prior), self.idf_step, float(self.scale[none]), float(self.bias[none]))
                self._gate = Gate(self.tables, self.pinyin, self.weights, 1 + none, margin, self.gate)
            rows = self._gate.rows(data, offsets)
        return rows, kernels.column_sums(data, offsets, self.tables, self.pinyin, self._words, rows)

    def _numpy(self, texts: pa.StringArray, gated: bool) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        sums = np.zeros((len(texts), self.weights.shape[1]), np.int64)
        for which, view in enumerate(self.views(texts)):
            for size in LENGTHS[which]:
                found = occurrences(view, which, self.bits, (size,))
                count = np.bincount(found.row, minlength=len(texts))
                held = np.flatnonzero(count)
                if len(held):
                    borders = np.zeros(len(texts) + 1, np.int64)
                    np.cumsum(count, out=borders[1:])
                    gathered = self.weights[found.bucket]
                    sums[held] += np.add.reduceat(gathered, borders[held], axis=0, dtype=np.int64)
        rows = np.arange(len(texts))
        if gated and self.gate is not None:
            rows = np.flatnonzero(self._margins(sums)[:, self.none_index] <= self.gate)
        return rows, sums[rows]


def softmax(margins: Floats, calibration: Floats) -> Floats:
    """Turn margins (n × labels) into probabilities by a linear map (labels + 1 × labels) and softmax."""
    logits = margins @ calibration[:-1] + calibration[-1]
    logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
    np.exp(logits, out=logits)
    return np.asarray(logits / logits.sum(axis=1, keepdims=True), np.float64)
