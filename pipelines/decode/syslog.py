# ruff: noqa: PLR0912, PLR1714
# A compiled loop is one long function, and compares bytes one by one.
"""Syslog lines: RFC 5424, and RFC 3164 as it is found in files (without priority, with ISO time stamps).

Structured data goes to ``extra`` as ``SD-ID.PARAM-NAME``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipelines.compiled import kernel
from pipelines.decode.cells import Bytes, Cells, Extras, Int32s, Int64s, Kind, Work, empty_grid
from pipelines.decode.fields import Fields, place
from pipelines.decode.names import Names
from pipelines.decode.reasons import Code

FIELDS: Final = (
    "log_syslog_priority",
    "event_time",
    "host_name",
    "process_name",
    "process_pid",
    "msgid",
    "message",
)
"""``msgid`` (RFC 5424) has no column."""

_PRIORITY, _TIME, _HOST, _NAME, _PID, _MSGID, _MESSAGE = range(len(FIELDS))

_WRONG: Final = int(Code.NOT_SYSLOG)
_MORE_EXTRAS: Final = -101
_MORE_ROOM: Final = -102
_TEXT: Final = int(Kind.TEXT)
_SPACE: Final = 32
_MAX_NAME: Final = 64
"""RFC 5424 allows 32 characters for the names of structured data; somewhat longer ones are read too."""

_NEXT: Final = 0
_ROWS: Final = 1
_EXTRAS: Final = 2
_ROOM: Final = 3


def read_syslog(work: Work, starts: Int64s, ends: Int64s, codes: Bytes, names: Names, fields: Fields) -> Cells:
    """Read framed lines (arguments as in ``read_ndjson``, and the resolved ``FIELDS``)."""
    grid = empty_grid(names.slots, len(starts))
    rows = np.empty(len(starts), dtype=np.int64)
    extras = Extras.room(2 * len(starts) + 64)
    counters = np.zeros(4, dtype=np.int64)
    counters[_ROOM] = work.size
    while True:
        lack = _read_lines(
            work.buffer, starts, ends, codes, fields.slots, fields.key_starts, *grid, rows,
            extras.row, extras.key_start, extras.key_end, extras.start, extras.end, extras.kind, counters,
        )  # fmt: skip
        if lack == 0:
            break
        if lack == _MORE_EXTRAS:
            extras = extras.resized(int(counters[_EXTRAS]), 2 * len(extras))
        else:
            work.grow()
        work.restore(int(starts[counters[_NEXT]]), int(ends[counters[_NEXT]]))
    total = int(counters[_EXTRAS])
    return Cells(work.buffer, codes, rows[: int(counters[_ROWS])], *grid, extras.resized(total, total))


@kernel
def _token(buffer: Bytes, at: int, end: int) -> int:
    while at < end and buffer[at] != _SPACE:
        at += 1
    return at


@kernel
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@kernel
def _priority(buffer: Bytes, at: int, end: int) -> int:
    """End of the number in ``<PRI>`` at ``at``, 0 if there is none, -1 if it is none (RFC 5424: 0 to 191)."""
    if buffer[at] != 60:
        return 0
    stop = at + 1
    value = 0
    while stop < end and stop - at <= 3 and _is_digit(buffer[stop]):
        value = value * 10 + (buffer[stop] - 48)
        stop += 1
    if stop == at + 1 or stop >= end or buffer[stop] != 62 or value > 191:
        return -1
    return stop


@kernel
def _month_stamp(buffer: Bytes, at: int, end: int) -> int:
    """End of ``Mmm dd [yyyy] hh:mm:ss`` at ``at``, -1 if it does not look like one."""
    if at + 15 > end or buffer[at + 3] != _SPACE:
        return -1
    for i in range(at, at + 3):
        if not 97 <= (buffer[i] | 32) <= 122:
            return -1
    stop = at + 3
    while stop < end and buffer[stop] == _SPACE:
        stop += 1
    if not _is_digit(buffer[stop]) or stop - at > 5:
        return -1
    stop = _token(buffer, stop, end)
    if stop + 5 < end and _is_digit(buffer[stop + 1]) and _token(buffer, stop + 1, end) == stop + 5:
        stop += 5
    clock = stop + 1
    if clock + 8 > end or buffer[clock + 2] != 58 or not _is_digit(buffer[clock]):
        return -1
    stop = _token(buffer, clock, end)
    # Some daemons write "hh:mm:ss:" or a zone; the colon is not part of the time.
    return stop - 1 if buffer[stop - 1] == 58 else stop


@kernel
def _iso_stamp(buffer: Bytes, at: int, end: int) -> int:
    """End of a time that begins like ``yyyy-mm-dd``, -1 if it does not."""
    if at + 10 > end or buffer[at + 4] != 45 or buffer[at + 7] != 45:
        return -1
    for i in (0, 1, 2, 3, 5, 6, 8, 9):
        if not _is_digit(buffer[at + i]):
            return -1
    stop = _token(buffer, at, end)
    if stop - at == 10 and stop + 9 <= end and buffer[stop + 3] == 58 and buffer[stop + 6] == 58:
        stop = _token(buffer, stop + 1, end)
    return stop


@kernel
def _tag(buffer: Bytes, at: int, end: int, fields: Int32s) -> int:
    """Read ``name[pid]:`` or ``name:`` at ``at``; the position of the message, ``at`` itself if there is no tag."""
    stop = at
    while stop < end and buffer[stop] != _SPACE and buffer[stop] != 58 and buffer[stop] != 91:
        stop += 1
    if stop == at or stop >= end or buffer[stop] == _SPACE:
        return at
    name_end = stop
    pid_end = stop
    if buffer[stop] == 91:
        pid_end = stop + 1
        while pid_end < end and buffer[pid_end] != 93 and buffer[pid_end] != _SPACE:
            pid_end += 1
        if pid_end >= end or buffer[pid_end] != 93 or pid_end == stop + 1:
            return at
        stop = pid_end + 1
    if stop < end and buffer[stop] != 58 and buffer[stop] != _SPACE:
        return at
    if stop == name_end and stop + 1 < end and buffer[stop + 1] != _SPACE:
        return at  # `http://…` is a message
    fields[_NAME, 0] = at
    fields[_NAME, 1] = name_end
    if pid_end > name_end:
        fields[_PID, 0] = name_end + 1
        fields[_PID, 1] = pid_end
    if stop < end and buffer[stop] == 58:
        stop += 1
    if stop < end and buffer[stop] == _SPACE:
        stop += 1
    return stop


@kernel
def _read_3164(buffer: Bytes, at: int, end: int, fields: Int32s) -> bool:
    stop = _month_stamp(buffer, at, end)
    if stop < 0:
        stop = _iso_stamp(buffer, at, end)
    if stop < 0:
        return False
    fields[_TIME, 0] = at
    fields[_TIME, 1] = stop
    at = stop
    if at < end and buffer[at] == 58:
        at += 1
    while at < end and buffer[at] == _SPACE:
        at += 1
    stop = _token(buffer, at, end)
    if stop == at:
        return True
    if buffer[stop - 1] != 58 and buffer[stop - 1] != 93:
        fields[_HOST, 0] = at
        fields[_HOST, 1] = stop
        at = stop + 1 if stop < end else end
    fields[_MESSAGE, 0] = _tag(buffer, at, end, fields) if at < end else end
    fields[_MESSAGE, 1] = end
    return True


@kernel
def _nil(buffer: Bytes, start: int, end: int) -> bool:
    return end - start == 1 and buffer[start] == 45


@kernel
def _read_5424(buffer: Bytes, at: int, end: int, fields: Int32s) -> int:
    """Read the header after the version; the position of the structured data, -1 if it is not one."""
    for field in (_TIME, _HOST, _NAME, _PID, _MSGID):
        stop = _token(buffer, at, end)
        if stop == at or stop >= end:
            return -1
        if not _nil(buffer, at, stop):
            fields[field, 0] = at
            fields[field, 1] = stop
        at = stop + 1
    return at if at < end else -1


@kernel
def _parameter(buffer: Bytes, at: int, end: int) -> tuple[int, int, int]:
    """Read ``name="value"`` at ``at``, escapes undone in place: end of the name, end of the value, position after."""
    stop = at
    while stop < end and buffer[stop] != 61 and buffer[stop] != _SPACE and buffer[stop] != 93 and buffer[stop] != 34:
        stop += 1
    name_end = stop
    if stop == at or stop - at > _MAX_NAME or stop + 1 >= end or buffer[stop] != 61 or buffer[stop + 1] != 34:
        return -1, 0, 0
    stop += 2
    to = stop
    while stop < end and buffer[stop] != 34:
        if buffer[stop] == 92 and stop + 1 < end:
            following = buffer[stop + 1]
            if following == 34 or following == 92 or following == 93:
                stop += 1
        buffer[to] = buffer[stop]
        to += 1
        stop += 1
    if stop >= end:
        return -1, 0, 0
    return name_end, to, stop + 1


@kernel
def _structured(
    buffer: Bytes, at: int, end: int, row: int, counters: Int64s,
    extra_row: Int32s, key_start: Int32s, key_end: Int32s, extra_start: Int32s, extra_end: Int32s, extra_kind: Bytes,
) -> int:  # fmt: skip
    """Read structured data into extras; the position after it, 0 if it is wrong, or what the loop lacks."""
    if buffer[at] == 45:
        return at + 1
    if buffer[at] != 91:
        return 0
    while at < end and buffer[at] == 91:
        name = at + 1
        stop = name
        while (
            stop < end and buffer[stop] != _SPACE and buffer[stop] != 93 and buffer[stop] != 61 and buffer[stop] != 34
        ):
            stop += 1
        if stop == name or stop >= end or stop - name > _MAX_NAME or buffer[stop] == 61 or buffer[stop] == 34:
            return 0
        name_end = stop
        bare = True
        while True:
            while stop < end and buffer[stop] == _SPACE:
                stop += 1
            if stop >= end:
                return 0
            closes = buffer[stop] == 93
            if closes and not bare:
                break
            if counters[_EXTRAS] >= len(extra_row):
                return _MORE_EXTRAS
            if counters[_ROOM] + 2 * _MAX_NAME + 1 > len(buffer):
                return _MORE_ROOM
            extra = counters[_EXTRAS]
            counters[_EXTRAS] += 1
            extra_row[extra] = row
            extra_kind[extra] = _TEXT
            if closes:  # an element without parameters: its name alone
                key_start[extra] = name
                key_end[extra] = name_end
                extra_start[extra] = stop
                extra_end[extra] = stop
                break
            bare = False
            param_end, value_end, after = _parameter(buffer, stop, end)
            if param_end < 0:
                return 0
            room = counters[_ROOM]
            key_start[extra] = room
            for i in range(name, name_end):
                buffer[room] = buffer[i]
                room += 1
            buffer[room] = 46
            room += 1
            for i in range(stop, param_end):
                buffer[room] = buffer[i]
                room += 1
            counters[_ROOM] = room
            key_end[extra] = room
            extra_start[extra] = param_end + 2
            extra_end[extra] = value_end
            stop = after
        at = stop + 1
    return at


@kernel
def _read_lines(
    buffer: Bytes, starts: Int64s, ends: Int64s, codes: Bytes, slots: Int32s, keys: Int32s,
    slot_start: Int32s, slot_end: Int32s, slot_kind: Bytes, rows: Int64s,
    extra_row: Int32s, key_start: Int32s, key_end: Int32s, extra_start: Int32s, extra_end: Int32s, extra_kind: Bytes,
    counters: Int64s,
) -> int:  # fmt: skip
    fields = np.empty((len(slots), 2), dtype=np.int32)
    for record in range(counters[_NEXT], len(starts)):
        counters[_NEXT] = record
        if codes[record] != 0:
            continue
        row = counters[_ROWS]
        first_extra = counters[_EXTRAS]
        room = counters[_ROOM]
        if first_extra + len(slots) > len(extra_row):
            return _MORE_EXTRAS
        fields[:] = 0
        at = starts[record]
        end = ends[record]
        fine = True
        stop = _priority(buffer, at, end)
        if stop > 0:
            fields[_PRIORITY, 0] = at + 1
            fields[_PRIORITY, 1] = stop
            at = stop + 1
        if stop < 0 or at >= end:
            fine = False
        elif stop > 0 and at + 1 < end and buffer[at] == 49 and buffer[at + 1] == _SPACE:
            at = _read_5424(buffer, at + 2, end, fields)
            fine = at >= 0
            if fine:
                at = _structured(
                    buffer, at, end, row, counters,
                    extra_row, key_start, key_end, extra_start, extra_end, extra_kind,
                )  # fmt: skip
                if at < 0:
                    counters[_EXTRAS] = first_extra
                    counters[_ROOM] = room
                    return at
                fine = at > 0 and (at >= end or buffer[at] == _SPACE)
            if fine and at + 1 < end:
                at += 1
                if at + 3 <= end and buffer[at] == 0xEF and buffer[at + 1] == 0xBB and buffer[at + 2] == 0xBF:
                    at += 3
                fields[_MESSAGE, 0] = at
                fields[_MESSAGE, 1] = end
        else:
            fine = _read_3164(buffer, at, end, fields)
        if not fine:
            counters[_EXTRAS] = first_extra
            counters[_ROOM] = room
            codes[record] = _WRONG
            continue
        if counters[_EXTRAS] + len(slots) > len(extra_row):
            counters[_EXTRAS] = first_extra
            counters[_ROOM] = room
            return _MORE_EXTRAS
        counters[_EXTRAS] = place(
            row, fields, slots, keys, counters[_EXTRAS], slot_start, slot_end, slot_kind,
            extra_row, key_start, key_end, extra_start, extra_end, extra_kind,
        )  # fmt: skip
        rows[row] = record
        counters[_ROWS] += 1
    return 0
