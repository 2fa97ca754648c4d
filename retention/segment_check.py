"""Checks one sealed segment: it is what was sealed, and its rows lie where its manifest says.

What is merged or carried over is read back by this before its sources go; an audit checks every segment by it.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from errors import IntegrityError
from retention.manifest import SegmentManifest
from retention.placing import COLUMNS, place_of_rows
from retention.segments import Archive, SegmentFile, open_segment


def check_stored(archive: Archive, manifest: SegmentManifest) -> SegmentFile:
    """Verify a segment and the places of its rows.

    Raises:
        IntegrityError: naming what does not hold.
        KeyAccessError, StorageError: it cannot be read.
    """
    segment = open_segment(archive, manifest)
    segment.verify()
    table = segment.parquet().read(columns=list(COLUMNS))
    wrong = misplaced(table, manifest)
    if wrong:
        raise IntegrityError(
            f"The segment {manifest.object_name}: {wrong}.", cure="Restore the object from a backup, or the catalogue."
        )
    return segment


def misplaced(table: pa.Table, manifest: SegmentManifest) -> str | None:
    """In what the rows' places contradict the manifest's, None if in nothing.

    Every row lies inside one of the manifest's ranges, each range holds its count of rows, and no two rows of a
    partition share an offset.
    """
    places = place_of_rows(table, manifest.places)
    held = np.bincount(places[places >= 0], minlength=len(manifest.places))
    for place, count in zip(manifest.places, held.tolist(), strict=True):
        if count != place.rows:
            where = f"{place.partition} [{place.start}, {place.end})"
            return f"it holds {count} rows of {where}, its manifest says {place.rows}"
    offsets = table.column("log_offset").to_numpy()
    order = np.lexsort((offsets, places))
    twice = (np.diff(places[order]) == 0) & (np.diff(offsets[order]) == 0) & (places[order][1:] >= 0)
    if twice.any():
        return f"two rows of {manifest.places[places[order][1:][twice][0]].partition} share an offset"
    if (places < 0).any():
        return f"{int((places < 0).sum())} of its rows lie outside the ranges of its manifest"
    return None
