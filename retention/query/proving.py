"""What Arrow can prove of a filter: which of some guarantees it contradicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.dataset as ds

from retention.schema import RECORD_SCHEMA

_POSITION: Final = "position"
"""A column that no record has, to tell the fragments of a proof apart."""


def possible(guarantees: Sequence[ds.Expression], condition: ds.Expression) -> list[int]:
    """Positions of the guarantees that do not contradict the condition."""
    nothing, parquet = pa.BufferReader(b""), ds.ParquetFileFormat()
    tagged = [
        parquet.make_fragment(nothing, partition_expression=(ds.field(_POSITION) == number) & guarantee)
        for number, guarantee in enumerate(guarantees)
    ]
    dataset = ds.FileSystemDataset(tagged, RECORD_SCHEMA.append(pa.field(_POSITION, pa.int32())), parquet)
    return sorted(
        ds.get_partition_keys(fragment.partition_expression)[_POSITION]
        for fragment in dataset.get_fragments(filter=condition)
    )
