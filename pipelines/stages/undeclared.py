"""Text fields that nobody has declared, found in a sample of every batch.

Whether text is public is declared field by field (电信条例 art. 65 bars looking into what is not). A field that holds
sentences and is named in no ``published`` is not scanned; that it is there goes on record with the batch, so that
audits and ``liucun doctor`` name it until somebody decides.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.decode.decoder import decoder
from pipelines.sources.spec import SourceSpec

SAMPLE: Final = 128
"""Records of a batch that are looked at, evenly spread: about a millisecond a batch of ten thousand."""
COLUMNS: Final = ("user_name", "message")
"""Columns beside ``text`` that may hold what people wrote; those of ids, addresses and programs do not."""
SENTENCE: Final = (
    r"[\x{3400}-\x{9FFF}\x{AC00}-\x{D7A3}\x{3040}-\x{30FF}]{2}|[A-Za-z]{2,}[ ,.!?]+[A-Za-z]{2,}[ ,.!?]+[A-Za-z]{2}"
)
"""What text looks like: two Chinese (Japanese, Korean) signs in a row, or three words. Plain ranges: the classes of
Unicode take Arrow milliseconds to compile, at every call."""


def undeclared_fields(spec: SourceSpec, records: pa.RecordBatch) -> list[str]:
    """Names of columns and of fields in ``extra`` that hold sentences and that ``published`` does not name, sorted."""
    if not records.num_rows:
        return []
    chosen = np.unique(np.linspace(0, records.num_rows - 1, min(SAMPLE, records.num_rows)).astype(np.int64))
    sample = records.select([*COLUMNS, "extra"]).take(pa.array(chosen))
    extra = sample.column("extra")
    names = [pa.array([column] * len(sample), pa.string()) for column in COLUMNS]
    values = pa.concat_arrays([extra.items, *(sample.column(column) for column in COLUMNS)])
    hits = pc.fill_null(pc.match_substring_regex(values, SENTENCE), fill_value=False)
    return sorted(
        set(pc.unique(pa.concat_arrays([extra.keys, *names]).filter(hits)).to_pylist())
        - set(spec.published)
        - decided_columns(spec)
    )


def decided_columns(spec: SourceSpec) -> frozenset[str]:
    """Columns that fields of ``published`` fill under other names."""
    names = decoder(spec).names
    return frozenset(column for field in spec.published if (column := names.column_of(field))) - spec.published.keys()
