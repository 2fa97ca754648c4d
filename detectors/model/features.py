"""Sparse feature matrices for training, from the same n-grams that scoring counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.model.hashing import occurrences
from detectors.model.tables import ViewTables
from detectors.model.views import folded_view, pinyin_view, utf32

STEPS = 127
_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Idf:
    """Squared inverse document frequency by bucket, in steps of ``step``: 1 to 127, and 0 where training saw nothing;
    ``prior`` of such steps every text has before its own.

    What was not seen must not shrink what the rest says, or new wording would by itself look like the commonest label.
    """

    squared: npt.NDArray[np.int8]
    step: float
    prior: int = 0

    @property
    def value(self) -> npt.NDArray[np.float64]:
        """The idf by bucket as scoring knows it."""
        return np.asarray(np.sqrt(self.squared * self.step), np.float64)

    def norm(self, counts: Any) -> npt.NDArray[np.float64]:
        """What divides the rows of a count matrix, as ``LinearModel.norm`` has it."""
        own = counts @ self.squared.astype(np.float64)
        return np.asarray(np.sqrt(np.maximum(own + self.prior, 1) * self.step), np.float64)


def count_matrix(texts: pa.StringArray, tables: ViewTables, bits: int, *, pinyin: bool) -> Any:
    """Return a scipy CSR matrix (n × 2**bits) of n-gram counts of ``n`` texts."""
    from scipy import sparse

    if texts.null_count:
        texts = texts.fill_null("")
    parts = []
    low = 0
    while low < len(texts):
        high = min(low + 20_000, len(texts))
        while high - low > 1 and texts.slice(low, high - low).nbytes > _CHUNK_BYTES:
            high = low + (high - low) // 2
        chunk = texts.slice(low, high - low)
        view = folded_view(*utf32(chunk), tables)
        found = [occurrences(view, 0, bits)]
        if pinyin:
            found.append(occurrences(pinyin_view(view, tables), 1, bits))
        rows = np.concatenate([f.row for f in found])
        columns = np.concatenate([f.bucket for f in found]).astype(np.int32)
        ones = np.ones(len(rows), np.float32)
        parts.append(sparse.csr_matrix((ones, (rows, columns)), shape=(len(chunk), 1 << bits)))
        low = high
    matrix = sparse.vstack(parts, format="csr") if parts else sparse.csr_matrix((0, 1 << bits), dtype=np.float32)
    matrix.sum_duplicates()
    return matrix


def fit_idf(counts: Any, min_df: int, prior: float = 0.0) -> Idf:
    """Smoothed idf, ``ln((1 + n) / (1 + df)) + 1``, as scikit-learn's ``TfidfTransformer`` defines it.

    ``prior`` is in squared idf.

    Buckets in fewer than ``min_df`` texts are dropped by training and weigh nothing, like ones never seen.
    """
    n, width = counts.shape
    df = np.bincount(counts.indices, minlength=width)
    idf = np.log((1 + n) / (1 + df)) + 1
    squared = idf * idf
    step = float((np.log((1 + n) / min_df) + 1) ** 2) / STEPS
    steps = np.clip(np.rint(squared / step), 1, STEPS)
    return Idf(np.where(df >= min_df, steps, 0).astype(np.int8), step, round(prior / step))


def weigh(counts: Any, idf: Idf) -> Any:
    """Return ``count · idf / sqrt(prior + sum of count · idf²)`` row by row, float32 CSR."""
    from scipy import sparse

    norm = idf.norm(counts)
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    data = (counts.data * idf.value[counts.indices] / norm[rows]).astype(np.float32)
    return sparse.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)


def compact(counts: Any, min_df: int) -> tuple[Any, npt.NDArray[np.int64]]:
    """Return the matrix of the columns that ``min_df`` rows or more have, and those columns' buckets."""
    df = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(df >= min_df)
    return counts[:, kept].tocsr(), kept
