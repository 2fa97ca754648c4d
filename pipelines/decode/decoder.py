"""One batch of raw bytes into a batch of records and a batch of what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from errors import UsageError
from pipelines.batches import DecodedBatch, RawBatch
from pipelines.decode import combined, syslog
from pipelines.decode.cells import Bytes, Cells, Int64s, Work, gather_binary
from pipelines.decode.columns import Columns, build
from pipelines.decode.csv_rows import header_names, read_csv
from pipelines.decode.fields import Fields
from pipelines.decode.names import resolve
from pipelines.decode.ndjson import read_ndjson
from pipelines.decode.reasons import Code
from pipelines.decode.screen import after_bom, blank_lines, screen
from pipelines.decode.times import TIME, micros
from pipelines.framing import Frames, frame, frame_messages, without_end
from pipelines.sources.spec import SourceSpec
from retention.schema import MAPPED_FIELDS, RECORD_SCHEMA

MAX_BATCH: Final = 129 << 20
"""Bytes of a batch, a little over two records of the largest size. Positions are kept in 32 bits: names composed from
nested ones may take fourteen times the batch."""

_LABEL: Final = pa.dictionary(pa.int32(), pa.string())
_EXTRA: Final = pa.map_(pa.string(), pa.string())


class Decoder:
    """Decodes the batches of one source. It keeps nothing from one batch to the next; threads may share it."""

    def __init__(self, spec: SourceSpec) -> None:
        self.spec = spec
        self.names = resolve(spec)

    def decode(self, raw: RawBatch, ingested: datetime, *, refused: Code = Code.FINE) -> DecodedBatch:
        """Decode a batch.

        Every framed record ends up in ``records`` or ``unparsed``, whatever the bytes are.

        Args:
            raw: whole records (see ``pipelines.framing.cut``), at most 129 MiB.
            ingested: moment of the ingest, with a zone.
            refused: a reason to leave every record unread.

        Raises:
            UsageError: the batch is too large, or ``ingested`` has no zone.
        """
        if len(raw.data) > MAX_BATCH:
            raise UsageError("A batch of over 129 MiB cannot be decoded.", cure="Plan smaller ranges for the source.")
        if ingested.tzinfo is None:
            raise UsageError("The moment of the ingest has no zone.", cure="Pass a time with a zone, for example UTC.")
        csv = self.spec.format == "csv"
        source = np.frombuffer(raw.data, dtype=np.uint8)
        if raw.messages is not None:
            frames = frame_messages(raw.data, raw.messages.ends)
        else:
            frames = frame(raw.data, csv=csv, delimiter=self.spec.csv_delimiter, last=True)
        texts = after_bom(source, frames.starts, frames.content_ends)
        keep = ~blank_lines(source, texts, frames.content_ends, csv)
        blanks = len(frames) - int(keep.sum())
        header_rows = 0
        columns = self._csv_columns(raw) if csv else None
        if csv and self.spec.csv_columns is None and raw.first and keep.any():
            first = int(keep.argmax())
            columns = header_names(raw.data[frames.starts[first] : frames.content_ends[first]], self._delimiter)
            if columns is not None:
                keep[first] = False
                header_rows = 1
        chosen = np.flatnonzero(keep)
        codes = screen(source, texts[chosen], frames.content_ends[chosen])
        codes[frames.fallback[chosen] & (codes == Code.FINE)] = Code.OPEN_QUOTE
        oversized = frames.oversized
        if raw.continues and len(frames):
            oversized[0] = True
        codes[oversized[chosen]] = Code.OVERSIZED
        if csv and columns is None:
            codes[codes == Code.FINE] = Code.UNUSABLE_HEADER
        codes[codes == Code.FINE] = refused
        cells = self._read(source, texts[chosen], frames.content_ends[chosen], codes, columns or [])
        built = build(cells, self.names, self.spec.time_zone, ingested)
        return _Assembly(self, raw, source, frames, chosen, cells, built, micros(ingested)).batch(header_rows, blanks)

    @property
    def _delimiter(self) -> str:
        return self.spec.csv_delimiter

    def _csv_columns(self, raw: RawBatch) -> list[str] | None:
        """Columns known before the batch is read: declared, or of the header of an earlier batch."""
        if self.spec.csv_columns is not None:
            return list(self.spec.csv_columns)
        return header_names(without_end(raw.header), self._delimiter) if raw.header else None

    def _read(self, source: Bytes, starts: Int64s, ends: Int64s, codes: Bytes, columns: list[str]) -> Cells:
        form = self.spec.format
        names = {"csv": columns, "combined": combined.FIELDS, "syslog": syslog.FIELDS}.get(form, ())
        fields = Fields(names, self.names)
        work = Work.of(source, fields.blob)
        starts, ends = starts + work.shift, ends + work.shift
        if form == "ndjson":
            return read_ndjson(work, starts, ends, codes, self.names)
        if form == "csv":
            return read_csv(work, starts, ends, codes, self.names, fields, self._delimiter)
        if form == "combined":
            return combined.read_combined(work, starts, ends, codes, self.names, fields)
        return syslog.read_syslog(work, starts, ends, codes, self.names, fields)


@dataclass(slots=True)
class _Assembly:
    """Puts the parts of a decoded batch together."""

    decoder: Decoder
    raw: RawBatch
    source: Bytes
    frames: Frames
    chosen: Int64s
    cells: Cells
    built: Columns
    ingested: int

    def batch(self, header_rows: int, blanks: int) -> DecodedBatch:
        rows = self.cells.rows
        readable = self._records(rows)
        published = {name: self._published(name, readable) for name, said in self._declared() if said}
        if self.built.unreadable.any():
            fine = pa.array(~self.built.unreadable)
            readable = readable.filter(fine)
            published = {name: column.filter(fine) for name, column in published.items()}
            self.cells.codes[rows[self.built.unreadable]] = Code.UNREADABLE_TIME
        return DecodedBatch(
            place=self.raw.place,
            record_class=self.decoder.spec.record_class,
            records=readable,
            unparsed=self._unparsed(np.flatnonzero(self.cells.codes)),
            header_rows=header_rows,
            blank_lines=blanks,
            published=published,
        )

    def _declared(self) -> list[tuple[str, bool]]:
        return list(self.decoder.spec.published.items())

    def _records(self, rows: Int64s) -> pa.RecordBatch:
        errors = [pa.nulls(len(rows), _LABEL), pa.nulls(len(rows), pa.string())]
        middle = [self._ingested(len(rows)), self.built.flags, *self.built.mapped, self.built.extra]
        return self._with_place(self.chosen[rows], [*middle, *errors])

    def _unparsed(self, rows: Int64s) -> pa.RecordBatch:
        found, index = np.unique(self.cells.codes[rows], return_inverse=True)
        reasons = [Code(int(code)).reason for code in found]
        code = pa.DictionaryArray.from_arrays(
            pa.array(index, pa.int32()), pa.array([str(reason) for reason in reasons], pa.string())
        )
        message = pa.array([reason.message for reason in reasons], pa.string()).take(pa.array(index, pa.int64()))
        nothing = [pa.nulls(len(rows), _LABEL), *(pa.nulls(len(rows), field.type) for field in MAPPED_FIELDS)]
        return self._with_place(
            self.chosen[rows], [self._ingested(len(rows)), *nothing, pa.nulls(len(rows), _EXTRA), code, message]
        )

    def _with_place(self, framed: Int64s, middle: list[pa.Array]) -> pa.RecordBatch:
        starts, ends = self.frames.starts[framed], self.frames.ends[framed]
        messages = self.raw.messages
        offsets = starts + self.raw.place.start if messages is None else messages.offsets[framed]
        place = [
            _constant(self.raw.place.source, len(framed)),
            _constant(self.raw.place.partition, len(framed)),
            pa.array(offsets, pa.int64()),
            pa.array((ends - starts).astype(np.int32), pa.int32()),
        ]
        bytes_as_came = gather_binary(self.source, starts, self.frames.content_ends[framed])
        return pa.RecordBatch.from_arrays([*place, *middle, bytes_as_came], schema=RECORD_SCHEMA)

    def _ingested(self, count: int) -> pa.TimestampArray:
        return pa.array(np.full(count, self.ingested), pa.int64()).cast(TIME)

    def _published(self, field: str, records: pa.RecordBatch) -> pa.StringArray:
        """The values of a published field: its column's, and what stands in ``extra`` under its name."""
        column = self.decoder.names.column_of(field)
        from_extra = self._from_extra({field, column or field}, records.num_rows)
        if column is None:
            return from_extra
        value = records.column(column).cast(pa.string())
        return pc.coalesce(value, from_extra) if from_extra.null_count < len(from_extra) else value

    def _from_extra(self, names: set[str], count: int) -> pa.StringArray:
        hits = pc.is_in(self.built.keys, value_set=pa.array(sorted(names), pa.string()))
        found = np.flatnonzero(hits.to_numpy(zero_copy_only=False))
        index = np.full(count, -1, dtype=np.int64)
        index[self.built.item_rows[found]] = found
        return self.built.items.take(pa.array(index, pa.int64(), mask=index < 0))


def _constant(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), pa.array([value], pa.string()))


@lru_cache(maxsize=256)
def _cached(key: str) -> Decoder:
    return Decoder(SourceSpec.model_validate_json(key))


def decoder(spec: SourceSpec) -> Decoder:
    """The decoder of a source, made once for equal declarations."""
    return _cached(spec.model_dump_json())
