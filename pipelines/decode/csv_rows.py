# ruff: noqa: PLR0912
# A compiled loop is one long function, and compares bytes one by one.
"""CSV rows (RFC 4180) as cells, in the order of the header's columns."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipelines.compiled import kernel
from pipelines.decode.cells import Bytes, Cells, Int32s, Int64s, Work, empty_grid
from pipelines.decode.fields import Fields, place
from pipelines.decode.names import Names
from pipelines.decode.reasons import Code
from pipelines.decode.screen import after_bom, blank_lines
from pipelines.framing import frame

_COUNT: Final = int(Code.COLUMN_COUNT)
_STRAY: Final = int(Code.STRAY_QUOTE)
_OPEN: Final = int(Code.OPEN_QUOTE)
_BARE_CR: Final = int(Code.BARE_CR)
_QUOTE: Final = 34
_CR: Final = 13


MAX_HEADER: Final = 1 << 20
"""Bytes of a header row."""


def csv_header(data: bytes, delimiter: str, *, last: bool) -> bytes:
    """The header row at a file's beginning, without its terminator: the first record that is not blank.

    Empty if ``data`` holds none. It is what ``RawBatch.header`` carries to the batches after the first.
    """
    return data[header_place(data, delimiter, last=last)]


def header_place(data: bytes, delimiter: str, *, last: bool) -> slice:
    """Where that row stands in ``data``; an empty slice at its end if there is none."""
    frames = frame(data, csv=True, delimiter=delimiter, last=last)
    source = np.frombuffer(data, dtype=np.uint8)
    blank = blank_lines(source, after_bom(source, frames.starts, frames.content_ends), frames.content_ends, True)
    if blank.all():
        return slice(len(data), len(data))
    first = int(blank.argmin())
    return slice(int(frames.starts[first]), int(frames.content_ends[first]))


def header_names(header: bytes, delimiter: str) -> list[str] | None:
    """Column names of a header row; None if it cannot be read.

    A name given twice gets its number from the second time on (``price``, ``price_2``); a column without a name is
    called by its place (``column_3``).
    """
    try:
        header.decode()
    except UnicodeDecodeError:
        return None
    if len(header) > MAX_HEADER:
        return None
    buffer = np.frombuffer(header.removeprefix(b"\xef\xbb\xbf"), dtype=np.uint8).copy()
    mark = np.frombuffer(delimiter.encode(), dtype=np.uint8)
    fields = np.empty((len(buffer) + 1, 2), dtype=np.int32)
    count, wrong = _split(buffer, 0, len(buffer), mark, fields)
    if wrong or 0 in buffer:
        return None
    names: list[str] = []
    taken: set[str] = set()
    for nth, (start, end) in enumerate(fields[:count].tolist(), 1):
        base = buffer[start:end].tobytes().decode().strip() or f"column_{nth}"
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names.append(name)
    return names


def read_csv(
    work: Work, starts: Int64s, ends: Int64s, codes: Bytes, names: Names, fields: Fields, delimiter: str
) -> Cells:
    """Read framed rows (arguments as in ``read_ndjson``, and the resolved columns); an empty field is absent."""
    grid = empty_grid(names.slots, len(starts))
    rows = np.empty(len(starts), dtype=np.int64)
    extras = fields.room(len(starts))
    mark = np.frombuffer(delimiter.encode(), dtype=np.uint8)
    read, total = _read_rows(
        work.buffer, starts, ends, codes, mark, fields.slots, fields.key_starts, *grid, rows,
        extras.row, extras.key_start, extras.key_end, extras.start, extras.end, extras.kind,
    )  # fmt: skip
    return Cells(work.buffer, codes, rows[:read], *grid, extras.resized(total, total))


@kernel
def _is_mark(buffer: Bytes, at: int, end: int, mark: Bytes) -> bool:
    if at + len(mark) > end:
        return False
    for i in range(len(mark)):  # noqa: SIM110 - compiled
        if buffer[at + i] != mark[i]:
            return False
    return True


@kernel
def _split(buffer: Bytes, at: int, end: int, mark: Bytes, fields: Int32s) -> tuple[int, int]:
    """Split a row into ranges of ``fields``, undoing quotes in place: the number of fields, and what is wrong.

    Fields beyond the room in ``fields`` are counted, not kept.
    """
    count = 0
    while True:
        start = at
        stop = at
        if at < end and buffer[at] == _QUOTE:
            at += 1
            start = at
            stop = at
            closed = False
            while at < end:
                if buffer[at] == _QUOTE:
                    if at + 1 < end and buffer[at + 1] == _QUOTE:
                        at += 1
                    else:
                        closed = True
                        at += 1
                        break
                buffer[stop] = buffer[at]
                stop += 1
                at += 1
            if not closed:
                return count, _OPEN
            if at < end and not _is_mark(buffer, at, end, mark):
                return count, _STRAY
        else:
            while at < end and not _is_mark(buffer, at, end, mark):
                if buffer[at] == _CR:
                    return count, _BARE_CR
                at += 1
            stop = at
        if count < len(fields):
            fields[count, 0] = start
            fields[count, 1] = stop
        count += 1
        if at >= end:
            return count, 0
        at += len(mark)


@kernel
def _read_rows(
    buffer: Bytes, starts: Int64s, ends: Int64s, codes: Bytes, mark: Bytes, slots: Int32s, keys: Int32s,
    slot_start: Int32s, slot_end: Int32s, slot_kind: Bytes, rows: Int64s,
    extra_row: Int32s, key_start: Int32s, key_end: Int32s, extra_start: Int32s, extra_end: Int32s, extra_kind: Bytes,
) -> tuple[int, int]:  # fmt: skip
    fields = np.empty((len(slots), 2), dtype=np.int32)
    row = 0
    extra = 0
    for record in range(len(starts)):
        if codes[record] != 0:
            continue
        count, wrong = _split(buffer, starts[record], ends[record], mark, fields)
        if wrong == 0 and count != len(slots):
            wrong = _COUNT
        if wrong != 0:
            codes[record] = wrong
            continue
        extra = place(
            row, fields, slots, keys, extra, slot_start, slot_end, slot_kind,
            extra_row, key_start, key_end, extra_start, extra_end, extra_kind,
        )  # fmt: skip
        rows[row] = record
        row += 1
    return row, extra
