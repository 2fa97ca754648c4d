"""Cells into the columns of the record schema: types, times, flags, extra."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.decode.cells import Bools, Bytes, Cells, Extras, Int32s, Kind, gather_text
from pipelines.decode.extra import map_column, unique_keys
from pipelines.decode.names import COLUMNS, SLOT_OF, Names
from pipelines.decode.time_text import LOCAL, NO_TIME, UNREADABLE, YEARLESS, read_times
from pipelines.decode.times import TIME, exists, micros, plausible, to_utc
from pipelines.decode.values import FITS, MISFIT, decimal_storage, read_scaled
from retention.schema import DECIMAL, MAPPED_FIELDS, Flag

_NESTED: Final = int(Kind.NESTED)
_NULL: Final = int(Kind.NULL)
_ABSENT: Final = int(Kind.ABSENT)

FLAGS: Final = tuple(Flag)
_BIT: Final = {flag: 1 << i for i, flag in enumerate(FLAGS)}
_LABEL: Final = pa.dictionary(pa.int32(), pa.string())

_RANGES: Final = {"source_port": (0, 65_535), "destination_port": (0, 65_535), "log_syslog_priority": (0, 191)}
"""Columns narrower than their type: ports (RFC 9293), priorities (RFC 5424)."""
_ALL: Final = 10**18 - 1

_NAME_ENDS: Final = np.cumsum([len(name) for name in COLUMNS], dtype=np.int32)


@dataclass(slots=True)
class Columns:
    """The mapped columns and ``extra`` of the readable rows, and ``flags``.

    ``unreadable`` marks rows whose event time cannot be read; ``keys``, ``items`` and ``item_rows`` are ``extra`` laid
    flat.
    """

    mapped: list[pa.Array]
    flags: pa.DictionaryArray
    extra: pa.MapArray
    keys: pa.StringArray
    items: pa.StringArray
    item_rows: Int32s
    unreadable: Bools


def build(cells: Cells, names: Names, zone: str, ingested: datetime) -> Columns:
    """Make columns of cells.

    Args:
        cells: what a format read, for ``r`` rows.
        names: the field names of the source.
        zone: zone of times that name none.
        ingested: moment of the ingest, with zone.
    """
    return _Builder(cells, names, zone, ingested).build()


class _Builder:
    def __init__(self, cells: Cells, names: Names, zone: str, ingested: datetime) -> None:
        self.cells = cells
        self.names = names
        self.zone = zone
        self.ingested = ingested
        self.count = len(cells.rows)
        self.bits = np.zeros(self.count, dtype=np.uint8)
        self.kept: list[Extras] = []
        self.unreadable = np.zeros(self.count, dtype=np.bool_)

    def build(self) -> Columns:
        mapped = [self._column(field) for field in MAPPED_FIELDS]
        extras = self.cells.extras
        for kept in self.kept:
            extras = extras.joined(kept)
        keys = gather_text(self.cells.buffer, extras.key_start, extras.key_end)
        valid = extras.kind != _NULL
        items = gather_text(self.cells.buffer, extras.start, extras.end, None if valid.all() else valid)
        keys, items, rows = unique_keys(keys, items, extras.row)
        extra = map_column(keys, items, rows, self.count)
        return Columns(mapped, _flag_column(self.bits), extra, keys, items, rows, self.unreadable)  # fmt: skip

    def _column(self, field: pa.Field) -> pa.Array:
        slot = self._slot(field.name)
        kinds = self.cells.kinds[slot, : self.count]
        if not kinds.any():
            if field.name == "event_time":
                self.bits |= _BIT[Flag.TIME_MISSING]
            return pa.nulls(self.count, field.type)
        starts = self.cells.starts[slot, : self.count]
        ends = self.cells.ends[slot, : self.count]
        if pa.types.is_string(field.type):
            return self._text(field.name, starts, ends, kinds)
        if pa.types.is_timestamp(field.type):
            return self._time(field.name, starts, ends, kinds)
        return self._number(field, starts, ends, kinds)

    def _slot(self, column: str) -> int:
        """The slot that fills a column: the mapped field's, and where that is absent, the column's own."""
        own = SLOT_OF[column]
        mapped = self.names.columns.get(column)
        if mapped is None:
            return own
        cells, count = self.cells, self.count
        own_kinds = cells.kinds[own, :count]
        if not own_kinds.any():
            return mapped
        has_mapped = cells.kinds[mapped, :count] != _ABSENT
        both = has_mapped & (own_kinds != _ABSENT)
        self._keep(column, both, cells.starts[own, :count], cells.ends[own, :count], own_kinds)
        take = ~has_mapped
        for grid in (cells.starts, cells.ends, cells.kinds):
            # A mapped slot may serve several columns: the merged one is the column's own.
            grid[own, :count] = np.where(take, grid[own, :count], grid[mapped, :count])
        return own

    def _keep(self, column: str, rows: Bools, starts: Int32s, ends: Int32s, kinds: Bytes) -> None:
        """Keep values in ``extra`` under the name of the column that cannot take them."""
        index = np.flatnonzero(rows).astype(np.int32)
        if not len(index):
            return
        slot = SLOT_OF[column]
        key_end = int(_NAME_ENDS[slot])
        self.kept.append(
            Extras(
                index,
                np.full(len(index), key_end - len(column), dtype=np.int32),
                np.full(len(index), key_end, dtype=np.int32),
                starts[index],
                ends[index],
                kinds[index],
            )
        )

    def _misfit(self, column: str, rows: Bools, starts: Int32s, ends: Int32s, kinds: Bytes) -> None:
        self._keep(column, rows, starts, ends, kinds)
        self.bits[rows] |= _BIT[Flag.VALUE_KEPT_AS_TEXT]

    def _text(self, column: str, starts: Int32s, ends: Int32s, kinds: Bytes) -> pa.Array:
        nested = kinds == _NESTED
        self._misfit(column, nested, starts, ends, kinds)
        valid = (kinds != _ABSENT) & ~nested
        return gather_text(self.cells.buffer, starts, ends, None if valid.all() else valid)

    def _number(self, field: pa.Field, starts: Int32s, ends: Int32s, kinds: Bytes) -> pa.Array:
        decimal = pa.types.is_decimal(field.type)
        low, high = -_ALL, _ALL
        if field.type == pa.int32():
            low, high = _RANGES.get(field.name, (-(2**31), 2**31 - 1))
        values, states = read_scaled(self.cells.buffer, starts, ends, kinds, DECIMAL.scale if decimal else 0, low, high)
        self._misfit(field.name, states == MISFIT, starts, ends, kinds)
        fits = states == FITS
        if not decimal:
            return pa.array(values, pa.int64(), mask=~fits).cast(field.type)
        nulls = self.count - int(fits.sum())
        validity = pa.py_buffer(np.packbits(fits, bitorder="little")) if nulls else None
        return pa.Array.from_buffers(DECIMAL, self.count, [validity, pa.py_buffer(decimal_storage(values))], nulls)

    def _time(self, column: str, starts: Int32s, ends: Int32s, kinds: Bytes) -> pa.Array:
        values, states = read_times(self.cells.buffer, starts, ends, kinds)
        values = to_utc(values, states, self.zone, self.ingested)
        unreadable = (states == UNREADABLE) | ((states != NO_TIME) & ~exists(values))
        known = ~unreadable & (states != NO_TIME)
        self.bits[known & ((states == LOCAL) | (states == YEARLESS))] |= _BIT[Flag.ZONE_ASSUMED]
        self.bits[known & (states == YEARLESS)] |= _BIT[Flag.YEAR_ASSUMED]
        if column == "event_time":
            self.unreadable = unreadable
            self.bits[states == NO_TIME] |= _BIT[Flag.TIME_MISSING]
            self.bits[known & ~plausible(values, micros(self.ingested))] |= _BIT[Flag.TIME_IMPLAUSIBLE]
        else:
            self._misfit(column, unreadable, starts, ends, kinds)
        return pa.array(values, pa.int64(), mask=~known).cast(TIME)


def _flag_column(bits: NDArray[np.uint8]) -> pa.DictionaryArray:
    found, index = np.unique(bits, return_inverse=True)
    labels = [",".join(flag for i, flag in enumerate(FLAGS) if pattern >> i & 1) for pattern in found.tolist()]
    return pa.DictionaryArray.from_arrays(
        pa.array(index, pa.int32(), mask=bits == 0), pa.array(labels, pa.string())
    ).cast(_LABEL)
