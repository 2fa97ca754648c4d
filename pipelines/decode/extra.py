"""The map column ``extra``: names unique in each row, as readers of Arrow maps demand."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.compiled import kernel
from pipelines.decode.cells import Bytes, Int32s
from pipelines.decode.names import hash_byte, home

_TYPE: Final = pa.map_(pa.string(), pa.string())
_KEY: Final = pa.field("key", pa.string(), nullable=False)
_VALUE: Final = pa.field("value", pa.string())
_SEED: Final = np.uint64(0xCBF29CE484222325)


def unique_keys(keys: pa.StringArray, items: pa.StringArray, rows: Int32s) -> tuple[pa.Array, pa.Array, Int32s]:
    """Tell names apart that a row has twice: the second is called ``name#2`` and so on.

    Such rows are rare: a nested field beside a dotted one of the same path, a repeated parameter of syslog's structured
    data, a value that did not fit its column beside a field of the column's name. A row that has the new name too
    keeps the first of the two; ``raw`` holds both.
    """
    ordinals = _ordinals(keys, rows)
    repeated = ordinals > 1
    if not repeated.any():
        return keys, items, rows
    numbers = pa.array(ordinals[repeated], pa.int32()).cast(pa.string())
    mask = pa.array(repeated)
    renamed = pc.binary_join_element_wise(keys.filter(mask), numbers, "#")
    keys = pc.replace_with_mask(keys, mask, renamed)
    first = _ordinals(keys, rows) == 1
    chosen = pa.array(first)
    return keys.filter(chosen), items.filter(chosen), rows[first]


def map_column(keys: pa.StringArray, items: pa.StringArray, rows: Int32s, count: int) -> pa.MapArray:
    """A map column of ``count`` rows from names, values and their rows in order; null where a row has none."""
    if not len(rows):
        return pa.nulls(count, _TYPE)
    offsets = np.searchsorted(rows, np.arange(count + 1, dtype=np.int32)).astype(np.int32)
    filled = offsets[1:] > offsets[:-1]
    nulls = count - int(filled.sum())
    validity = pa.py_buffer(np.packbits(filled, bitorder="little")) if nulls else None
    entries = pa.StructArray.from_arrays([keys, items], fields=[_KEY, _VALUE])
    return pa.Array.from_buffers(_TYPE, count, [validity, pa.py_buffer(offsets)], nulls, children=[entries])


def _ordinals(keys: pa.StringArray, rows: Int32s) -> Int32s:
    _, offsets, data = keys.buffers()
    if not len(keys) or data is None:
        return np.ones(0, dtype=np.int32)
    bounds = np.frombuffer(offsets, dtype=np.int32)[keys.offset : keys.offset + len(keys) + 1]
    return _number(np.frombuffer(data, dtype=np.uint8), bounds, rows)


@kernel
def _same(data: Bytes, bounds: Int32s, one: int, other: int) -> bool:
    size = bounds[one + 1] - bounds[one]
    if bounds[other + 1] - bounds[other] != size:
        return False
    for i in range(size):  # noqa: SIM110 - compiled
        if data[bounds[one] + i] != data[bounds[other] + i]:
            return False
    return True


@kernel
def _number(data: Bytes, bounds: Int32s, rows: Int32s) -> Int32s:
    """For each name, the how-manieth of its row that is the same."""
    count = len(rows)
    ordinals = np.ones(count, dtype=np.int32)
    places = np.full(1024, -1, dtype=np.int64)
    begin = 0
    while begin < count:
        end = begin + 1
        while end < count and rows[end] == rows[begin]:
            end += 1
        if end - begin == 1:
            begin = end
            continue
        if 2 * (end - begin) > len(places):
            size = len(places)
            while 2 * (end - begin) > size:
                size *= 2
            places = np.full(size, -1, dtype=np.int64)
        for name in range(begin, end):
            hashed = _SEED
            for i in range(bounds[name], bounds[name + 1]):
                hashed = hash_byte(hashed, data[i])
            at = home(hashed, len(places))
            # An entry of an earlier row counts as free: rows only grow.
            while places[at] >= begin and not _same(data, bounds, places[at], name):
                at = (at + 1) & (len(places) - 1)
            if places[at] >= begin:
                ordinals[name] = ordinals[places[at]] + 1
            places[at] = name
        begin = end
    return ordinals
