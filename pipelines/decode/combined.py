# ruff: noqa: PLR0912
# A compiled loop is one long function, and compares bytes one by one.
"""Access logs in the common and combined formats of Apache httpd and nginx.

``host ident user [time] "request" status bytes "referrer" "agent"``; the last two may be missing. A quote inside a
quoted field is escaped with a backslash. A last field that a size limit cut before its closing quote is read to
the end of the line.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipelines.compiled import kernel
from pipelines.decode.cells import Bytes, Cells, Int32s, Int64s, Work, empty_grid
from pipelines.decode.fields import Fields, place
from pipelines.decode.names import Names
from pipelines.decode.reasons import Code

FIELDS: Final = (
    "source_ip",
    "source.address",
    "ident",
    "user_name",
    "event_time",
    "http_request_method",
    "url_original",
    "http_version",
    "request",
    "http_response_status_code",
    "http_response_body_bytes",
    "http_request_referrer",
    "user_agent_original",
    "rest",
)
"""``source.address`` is a host that is no IP address, ``request`` a request line that is not method, target and
version, ``rest`` what follows the combined format's fields; these and ``ident`` have no column."""

(_IP, _ADDRESS, _IDENT, _USER, _TIME, _METHOD, _URL, _VERSION, _REQUEST, _STATUS, _BYTES, _REFERRER, _AGENT, _REST) = (
    range(len(FIELDS))
)
_WRONG: Final = int(Code.NOT_COMBINED)
_SPACE: Final = 32
_QUOTE: Final = 34
_BACKSLASH: Final = 92


def read_combined(work: Work, starts: Int64s, ends: Int64s, codes: Bytes, names: Names, fields: Fields) -> Cells:
    """Read framed lines (arguments as in ``read_ndjson``, and the resolved ``FIELDS``)."""
    grid = empty_grid(names.slots, len(starts))
    rows = np.empty(len(starts), dtype=np.int64)
    extras = fields.room(len(starts))
    read, total = _read_lines(
        work.buffer, starts, ends, codes, fields.slots, fields.key_starts, *grid, rows,
        extras.row, extras.key_start, extras.key_end, extras.start, extras.end, extras.kind,
    )  # fmt: skip
    return Cells(work.buffer, codes, rows[:read], *grid, extras.resized(total, total))


@kernel
def _token(buffer: Bytes, at: int, end: int) -> int:
    """End of the token at ``at``, before a space or the line's end."""
    while at < end and buffer[at] != _SPACE:
        at += 1
    return at


@kernel
def _is_ip(buffer: Bytes, start: int, end: int) -> bool:
    """Whether a range can only be an IPv4 or IPv6 address: digits and dots, or with colons hexadecimal digits too."""
    dots = 0
    colons = 0
    letters = 0
    for at in range(start, end):
        byte = buffer[at]
        if byte == 46:
            dots += 1
        elif byte == 58:
            colons += 1
        elif 97 <= (byte | 32) <= 102:
            letters += 1
        elif not 48 <= byte <= 57:
            return False
    return colons >= 2 or (dots == 3 and letters == 0)


@kernel
def _quoted(buffer: Bytes, at: int, end: int, fields: Int32s, field: int) -> int:
    """Read the quoted field at ``at``, undoing escaped quotes in place; the position after it, ``end + 1`` if open."""
    at += 1
    fields[field, 0] = at
    to = at
    while at < end:
        byte = buffer[at]
        if byte == _QUOTE:
            fields[field, 1] = to
            return at + 1
        if byte == _BACKSLASH and at + 1 < end and (buffer[at + 1] == _QUOTE or buffer[at + 1] == _BACKSLASH):
            at += 1
            byte = buffer[at]
        buffer[to] = byte
        to += 1
        at += 1
    fields[field, 1] = to
    return end + 1


@kernel
def _unless_dash(buffer: Bytes, fields: Int32s, field: int) -> None:
    """A lone ``-`` says that there is no value."""
    if fields[field, 1] - fields[field, 0] == 1 and buffer[fields[field, 0]] == 45:
        fields[field, 1] = fields[field, 0]


@kernel
def _number(buffer: Bytes, at: int, end: int) -> int:
    """End of the number or ``-`` at ``at``, -1 if there is none before a space or the line's end."""
    stop = _token(buffer, at, end)
    if stop == at:
        return -1
    if stop - at == 1 and buffer[at] == 45:
        return stop
    for i in range(at, stop):
        if not 48 <= buffer[i] <= 57:
            return -1
    return stop


@kernel
def _split_request(buffer: Bytes, fields: Int32s) -> None:
    """Take ``GET /path HTTP/1.1`` apart; anything else stays in one piece."""
    start = fields[_REQUEST, 0]
    end = fields[_REQUEST, 1]
    method = _token(buffer, start, end)
    last = end
    while last > method and buffer[last - 1] != _SPACE:
        last -= 1
    if method == start or last - 1 <= method + 1 or end - last < 6:
        return
    for i in range(start, method):
        if not 65 <= buffer[i] <= 90 and buffer[i] != 45 and buffer[i] != 95:
            return
    if not (
        buffer[last] == 72
        and buffer[last + 1] == 84
        and buffer[last + 2] == 84
        and buffer[last + 3] == 80
        and buffer[last + 4] == 47
    ):
        return
    fields[_METHOD, 0] = start
    fields[_METHOD, 1] = method
    fields[_URL, 0] = method + 1
    fields[_URL, 1] = last - 1
    fields[_VERSION, 0] = last + 5
    fields[_VERSION, 1] = end
    fields[_REQUEST, 1] = start


@kernel
def _read_line(buffer: Bytes, at: int, end: int, fields: Int32s) -> bool:
    fields[:] = 0
    stop = _token(buffer, at, end)
    host = _IP if _is_ip(buffer, at, stop) else _ADDRESS
    fields[host, 0] = at
    fields[host, 1] = stop
    if stop == at or stop >= end:
        return False
    at = stop + 1
    stop = _token(buffer, at, end)
    fields[_IDENT, 0] = at
    fields[_IDENT, 1] = stop
    if stop == at or stop >= end:
        return False
    # A user's name may hold spaces: it goes on to the bracket of the time.
    at = stop + 1
    stop = at
    while stop + 1 < end and not (buffer[stop] == _SPACE and buffer[stop + 1] == 91):
        stop += 1
    if stop + 1 >= end or stop == at:
        return False
    fields[_USER, 0] = at
    fields[_USER, 1] = stop
    at = stop + 2
    stop = at
    while stop < end and buffer[stop] != 93:
        stop += 1
    if stop + 2 >= end or buffer[stop + 1] != _SPACE or buffer[stop + 2] != _QUOTE:
        return False
    fields[_TIME, 0] = at
    fields[_TIME, 1] = stop
    at = _quoted(buffer, stop + 2, end, fields, _REQUEST)
    if at >= end or buffer[at] != _SPACE:
        return False
    stop = _number(buffer, at + 1, end)
    if stop < 0 or stop >= end:
        return False
    fields[_STATUS, 0] = at + 1
    fields[_STATUS, 1] = stop
    at = stop + 1
    stop = _number(buffer, at, end)
    if stop < 0:
        return False
    fields[_BYTES, 0] = at
    fields[_BYTES, 1] = stop
    at = stop
    for field in (_REFERRER, _AGENT):
        if at + 1 < end and buffer[at] == _SPACE and buffer[at + 1] == _QUOTE:
            at = _quoted(buffer, at + 1, end, fields, field)
        else:
            break
    if at < end:
        if buffer[at] != _SPACE:
            return False
        fields[_REST, 0] = at + 1
        fields[_REST, 1] = end
    for field in (_IP, _ADDRESS, _IDENT, _USER, _TIME, _REQUEST, _STATUS, _BYTES, _REFERRER, _AGENT):
        _unless_dash(buffer, fields, field)
    _split_request(buffer, fields)
    return True


@kernel
def _read_lines(
    buffer: Bytes, starts: Int64s, ends: Int64s, codes: Bytes, slots: Int32s, keys: Int32s,
    slot_start: Int32s, slot_end: Int32s, slot_kind: Bytes, rows: Int64s,
    extra_row: Int32s, key_start: Int32s, key_end: Int32s, extra_start: Int32s, extra_end: Int32s, extra_kind: Bytes,
) -> tuple[int, int]:  # fmt: skip
    fields = np.empty((len(slots), 2), dtype=np.int32)
    row = 0
    extra = 0
    for record in range(len(starts)):
        if codes[record] != 0:
            continue
        if not _read_line(buffer, starts[record], ends[record], fields):
            codes[record] = _WRONG
            continue
        extra = place(
            row, fields, slots, keys, extra, slot_start, slot_end, slot_kind,
            extra_row, key_start, key_end, extra_start, extra_end, extra_kind,
        )  # fmt: skip
        rows[row] = record
        row += 1
    return row, extra
