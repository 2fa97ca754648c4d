# ruff: noqa: PLR0912
# A compiled loop is one long function, and compares bytes one by one.
"""Integers and decimals from ranges of text, exactly or not at all."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.compiled import kernel, wide
from pipelines.decode.cells import Bools, Bytes, Int32s, Int64s, Kind

_TEXT: Final = int(Kind.TEXT)
_NUMBER: Final = int(Kind.NUMBER)
_MAX_DIGITS: Final = 18

EMPTY: Final = 0
FITS: Final = 1
MISFIT: Final = 2


@kernel
def trim(buffer: Bytes, start: int, end: int) -> tuple[int, int]:
    """Leave spaces and tabs at both ends of a range out."""
    while start < end and (buffer[start] == 32 or buffer[start] == 9):
        start += 1
    while end > start and (buffer[end - 1] == 32 or buffer[end - 1] == 9):
        end -= 1
    return start, end


@kernel
def _scaled(buffer: Bytes, start: int, end: int, scale: int) -> tuple[bool, int]:
    """A decimal number times ten to the power of ``scale``, if that is a whole number of at most 18 digits."""
    negative = buffer[start] == 45
    if negative or buffer[start] == 43:
        start += 1
    value = 0
    digits = 0  # written, zeros in front left out
    fraction = 0
    seen = False
    dotted = False
    zeros = 0  # that were read and not yet written: they may end the fraction
    at = start
    while at < end:
        byte = wide(buffer[at])
        if byte == 46 and not dotted:
            dotted = True
        elif 48 <= byte <= 57:
            seen = True
            if dotted:
                fraction += 1
            if byte == 48:
                zeros += 1 if digits else 0
            else:
                if digits + zeros + 1 > _MAX_DIGITS:
                    return False, 0
                for _ in range(zeros):
                    value *= 10
                value = value * 10 + (byte - 48)
                digits += zeros + 1
                zeros = 0
        else:
            break
        at += 1
    if not seen:
        return False, 0
    exponent = 0
    if at < end:
        if (buffer[at] | 32) != 101 or at + 1 >= end:
            return False, 0
        at += 1
        down = buffer[at] == 45
        if down or buffer[at] == 43:
            at += 1
        if at >= end or end - at > 4:
            return False, 0
        while at < end:
            if not 48 <= buffer[at] <= 57:
                return False, 0
            exponent = exponent * 10 + (wide(buffer[at]) - 48)
            at += 1
        if down:
            exponent = -exponent
    if digits == 0:
        return True, 0
    shift = exponent - fraction + zeros + scale
    if shift < 0 or digits + shift > _MAX_DIGITS:
        return False, 0
    for _ in range(shift):
        value *= 10
    return True, -value if negative else value


@kernel
def read_scaled(
    buffer: Bytes, starts: Int32s, ends: Int32s, kinds: Bytes, scale: int, low: int, high: int
) -> tuple[Int64s, Bytes]:
    """Read a column of numbers times ten to the power of ``scale``, between ``low`` and ``high``.

    Returns:
        (n,) values and (n,) states: EMPTY, FITS, or MISFIT where the number does not fit.
    """
    values = np.zeros(len(kinds), dtype=np.int64)
    states = np.zeros(len(kinds), dtype=np.uint8)
    for i in range(len(kinds)):
        if kinds[i] == 0:
            continue
        if kinds[i] != _TEXT and kinds[i] != _NUMBER:
            states[i] = MISFIT
            continue
        start, end = trim(buffer, wide(starts[i]), wide(ends[i]))
        if start == end:
            continue
        fits, value = _scaled(buffer, start, end, scale)
        if fits and low <= value <= high:
            states[i] = FITS
            values[i] = value
        else:
            states[i] = MISFIT
    return values, states


def decimal_storage(values: Int64s) -> NDArray[np.int64]:
    """Scaled integers as the 128-bit little-endian words of an Arrow decimal column: shape (n, 2)."""
    words = np.empty((len(values), 2), dtype=np.int64)
    words[:, 0] = values
    words[:, 1] = values >> 63
    return words


def where_state(states: Bytes, state: int) -> Bools:
    """Rows in one of the states."""
    found: Bools = states == state
    return found
