"""What any format must know of its records first: blank lines, byte order marks, invalid UTF-8, NUL bytes."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from pipelines.compiled import kernel
from pipelines.decode.cells import Bools, Bytes, Int64s
from pipelines.decode.reasons import Code

_NUL: Final = int(Code.NUL_BYTE)
_INVALID: Final = int(Code.INVALID_UTF8)


@kernel
def after_bom(buffer: Bytes, starts: Int64s, ends: Int64s) -> Int64s:
    """Starts of the records' text: a UTF-8 byte order mark before it is left out (files may be joined ones)."""
    found = starts.copy()
    for i in range(len(starts)):
        at = starts[i]
        if ends[i] - at >= 3 and buffer[at] == 0xEF and buffer[at + 1] == 0xBB and buffer[at + 2] == 0xBF:
            found[i] = at + 3
    return found


@kernel
def blank_lines(buffer: Bytes, starts: Int64s, ends: Int64s, csv: bool) -> Bools:
    """Which records hold nothing but white space; in CSV, where spaces are a value, nothing at all."""
    found = np.zeros(len(starts), dtype=np.bool_)
    for i in range(len(starts)):
        at = starts[i]
        while at < ends[i] and (buffer[at] == 13 or (not csv and (buffer[at] == 32 or buffer[at] == 9))):
            at += 1
        found[i] = at == ends[i]
    return found


def screen(buffer: Bytes, starts: Int64s, ends: Int64s) -> Bytes:
    """Codes (n,) of the records: 0, NUL_BYTE or INVALID_UTF8. Fast where the whole buffer is valid."""
    codes = np.zeros(len(starts), dtype=np.uint8)
    if not len(starts):
        return codes
    first, last = int(starts[0]), int(ends[-1])
    if not buffer[first:last].all():
        _mark_nul(buffer, starts, ends, codes)
    offsets = pa.py_buffer(np.array([0, last - first], dtype=np.int64))
    whole = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(buffer[first:last])])
    try:
        whole.validate(full=True)
    except pa.ArrowInvalid:
        _mark_invalid(buffer, starts, ends, codes)
    return codes


@kernel
def _mark_nul(buffer: Bytes, starts: Int64s, ends: Int64s, codes: Bytes) -> None:
    for i in range(len(starts)):
        for at in range(starts[i], ends[i]):
            if buffer[at] == 0:
                codes[i] = _NUL
                break


@kernel
def _sequence(buffer: Bytes, at: int, end: int) -> int:
    """Length of the UTF-8 sequence at ``at`` (RFC 3629: no overlong forms, no surrogates), 0 if there is none."""
    byte = buffer[at]
    if byte < 0x80:
        return 1
    low = 0x80
    high = 0xBF
    if 0xC2 <= byte <= 0xDF:
        size = 2
    elif 0xE0 <= byte <= 0xEF:
        size = 3
        low = 0xA0 if byte == 0xE0 else 0x80
        high = 0x9F if byte == 0xED else 0xBF
    elif 0xF0 <= byte <= 0xF4:
        size = 4
        low = 0x90 if byte == 0xF0 else 0x80
        high = 0x8F if byte == 0xF4 else 0xBF
    else:
        return 0
    if at + size > end or not low <= buffer[at + 1] <= high:
        return 0
    for i in range(at + 2, at + size):
        if not 0x80 <= buffer[i] <= 0xBF:
            return 0
    return size


@kernel
def _mark_invalid(buffer: Bytes, starts: Int64s, ends: Int64s, codes: Bytes) -> None:
    for i in range(len(starts)):
        at = starts[i]
        while at < ends[i]:
            size = _sequence(buffer, at, ends[i])
            if size == 0:
                codes[i] = _INVALID
                break
            at += size
