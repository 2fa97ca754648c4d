"""Several detectors as one: their findings side by side, each with the version that spoke."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from detectors.base import FINDING_SCHEMA, Detector, string_column


@dataclass(frozen=True, slots=True)
class CombinedDetector:
    """Asks every detector and keeps all that they found."""

    detectors: tuple[Detector, ...]

    @property
    def version(self) -> str:
        """All versions."""
        return "+".join(detector.version for detector in self.detectors)

    def detect(self, texts: pa.StringArray) -> pa.RecordBatch:
        """Return the findings of all in ``FINDING_SCHEMA``, ordered by row and start."""
        texts = string_column(texts)
        parts = [found for detector in self.detectors if (found := detector.detect(texts)).num_rows]
        if not parts:
            return pa.RecordBatch.from_pylist([], schema=FINDING_SCHEMA)
        ordered = pa.Table.from_batches(parts).sort_by([("row", "ascending"), ("start", "ascending")])
        return ordered.combine_chunks().to_batches()[0]
