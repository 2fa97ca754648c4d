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

SAMPLE: Final = 256
"""Records of a batch that are looked at, evenly spread: about a millisecond a batch of ten thousand."""
COLUMNS: Final = ("user_name", "message")
"""Columns beside ``text`` that may hold what people wrote; those of ids, addresses and programs do not."""
SENTENCE: Final = r"\p{Han}{2}|\p{L}{2,}[ ,.!?]+\p{L}{2,}[ ,.!?]+\p{L}{2,}"
"""What text looks like: two characters in a row, or three words."""


def undeclared_fields(spec: SourceSpec, records: pa.RecordBatch) -> list[str]:
    """Names of columns and of fields in ``extra`` that hold sentences and that ``published`` does not name, sorted."""
    if not records.num_rows:
        return []
    chosen = np.unique(np.linspace(0, records.num_rows - 1, min(SAMPLE, records.num_rows)).astype(np.int64))
    sample = records.select([*COLUMNS, "extra"]).take(pa.array(chosen))
    names = decoder(spec).names
    decided = {column for field in spec.published if (column := names.column_of(field))} | set(spec.published)
    found = {
        column for column in COLUMNS if column not in decided and pc.any(_sentences(sample.column(column))).as_py()
    }
    extra = sample.column("extra")
    keys, values = extra.keys, extra.items
    found |= set(pc.unique(keys.filter(_sentences(values))).to_pylist()) - decided
    return sorted(found)


def _sentences(values: pa.Array) -> pa.Array:
    return pc.fill_null(pc.match_substring_regex(values, SENTENCE), fill_value=False)
