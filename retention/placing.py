"""Which of a manifest's places each row of a segment lies in, and whether places overlap.

Rows are sorted once, so that many small places cost little.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retention.manifest import SegmentPlace

COLUMNS = ("log_source", "log_partition", "log_offset")
"""The columns that ``place_of_rows`` reads."""


def place_of_rows(table: pa.Table, places: Sequence[SegmentPlace]) -> np.ndarray:
    """Of each row the number of the place that it begins in, −1 where it does in none (int64, one a row).

    Where it ends is not asked: offsets count the bytes of a file and the messages of a topic, lengths always bytes.
    Places of one partition do not overlap; of places that do, a row is in one only.
    """
    found = np.full(table.num_rows, -1, dtype=np.int64)
    if not table.num_rows:
        return found
    offsets = table.column("log_offset").to_numpy()
    owners = pc.binary_join_element_wise(
        table.column("log_source").cast(pa.string()), table.column("log_partition").cast(pa.string()), "\x00"
    )
    encoded = owners.combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    by_owner: dict[str, list[int]] = {}
    for number, place in enumerate(places):
        by_owner.setdefault(f"{place.source}\x00{place.partition}", []).append(number)
    order = np.argsort(codes, kind="stable")
    borders = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    for code, owner in enumerate(encoded.dictionary.to_pylist()):
        numbers = np.array(sorted(by_owner.get(owner, ()), key=lambda n: places[n].start), dtype=np.int64)
        if not len(numbers):
            continue
        starts = np.array([places[n].start for n in numbers], dtype=np.int64)
        stops = np.array([places[n].end for n in numbers], dtype=np.int64)
        rows = order[borders[code] : borders[code + 1]]
        at = np.searchsorted(starts, offsets[rows], side="right") - 1
        inside = (at >= 0) & (offsets[rows] < stops[at])
        found[rows[inside]] = numbers[at[inside]]
    return found


class Apart:
    """Places that do not overlap, so that of each row one of them alone can be its.

    Parts that a destruction left of one segment have places in common: merged, nobody could tell their rows apart.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], list[tuple[int, int]]] = {}

    def take(self, places: Iterable[SegmentPlace]) -> bool:
        """Take places in; False, and none was taken, where one overlaps with one that was taken before."""
        given = list(places)
        if any(self._overlaps(place) for place in given):
            return False
        for place in given:
            insort(self._held.setdefault((place.source, place.partition), []), (place.start, place.end))
        return True

    def _overlaps(self, place: SegmentPlace) -> bool:
        held = self._held.get((place.source, place.partition), [])
        at = bisect_left(held, (place.start, place.end))
        after = at < len(held) and held[at][0] < place.end
        return after or (at > 0 and held[at - 1][1] > place.start)
