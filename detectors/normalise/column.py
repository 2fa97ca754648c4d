"""A column folded as a whole for scanning, without the map back: UTF-8 bytes and the rows' borders.

Large columns take the compiled path, small ones plain NumPy, so that a short job never waits for a compiler.
Where a scan finds something, ``view`` gives the same tokens of those rows with their places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.normalise.tables.fold import FoldTable
from detectors.normalise.view import code_points, string_buffers, view

Longs = npt.NDArray[np.int64]

COMPILED_FROM: Final = 1 << 20
"""Bytes of a column from which the compiled path pays for its start."""


@dataclass(frozen=True, slots=True)
class Folded:
    """``n`` rows end to end: ``data`` in UTF-8, borders (n + 1) in bytes and in characters, and for each row whether it
    holds a sign with a second reading.
    """

    data: bytes
    byte_rows: Longs
    char_rows: Longs
    signs: npt.NDArray[np.bool_]


def fold_column(texts: pa.StringArray, table: FoldTable, *, repeats: bool, compiled: bool | None = None) -> Folded:
    """Fold a column (nulls are empty rows); ``compiled`` chooses the path, by size when it is None."""
    filled = texts.fill_null("") if texts.null_count else texts
    data, offsets = string_buffers(filled)
    size = int(offsets[-1]) - int(offsets[0])
    if compiled if compiled is not None else size >= COMPILED_FROM:
        from detectors.normalise.compiled import fold_bytes

        return Folded(*fold_bytes(data, offsets, table, repeats))
    points, rows = code_points(filled)
    seen = view(points, rows, table, repeats=repeats)
    encoded = seen.text().encode()
    heads = np.append(np.flatnonzero((np.frombuffer(encoded, np.uint8) & 0xC0) != 0x80), len(encoded))
    held = np.append(0, np.cumsum(table.signs[points]))
    return Folded(encoded, heads[seen.rows], seen.rows, np.diff(held[rows]) > 0)
