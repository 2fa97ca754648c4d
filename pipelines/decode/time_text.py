# ruff: noqa: PLR1714
# A compiled loop is one long function, and compares bytes one by one.
"""Times from ranges of text: the formats logs are written in, read by compiled loops.

Read are ISO 8601 and what is like it (``2010-12-01 08:26:00``, ``2010/12/1 8:26``, ``20101201T082600Z``,
``20101201082600``), month/day/year (``12/1/2010 8:26``, with AM and PM), the Common Log Format
(``17/May/2015:10:05:03 +0000``), RFC 3164 without a year (``Dec 10 06:55:46``) and numbers since 1970 in seconds,
milliseconds, microseconds or nanoseconds, told apart by their size. A fraction is cut after microseconds.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipelines.compiled import kernel, wide
from pipelines.decode.cells import Bytes, Int32s, Int64s, Kind
from pipelines.decode.values import trim

_TEXT: Final = int(Kind.TEXT)
_NUMBER: Final = int(Kind.NUMBER)

NO_TIME: Final = 0
INSTANT: Final = 1
LOCAL: Final = 2
"""No zone was given: the value counts from 1970 in local time."""
YEARLESS: Final = 3
"""Neither zone nor year was given: the value is local, in the leap year 2000."""
UNREADABLE: Final = 4

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_BAD: Final = -1
_MONTHS: Final = np.frombuffer(b"janfebmaraprmayjunjulaugsepoctnovdec", dtype=np.uint8)
_LENGTHS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)


@kernel
def leap(year: int) -> bool:
    """Whether a Gregorian year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


@kernel
def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 (Gregorian, proleptic); years counted from March, as the leap day then comes last."""
    year -= 1 if month <= 2 else 0
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


@kernel
def _date(year: int, month: int, day: int) -> int:
    """Microseconds at a date's midnight; minimum of int64 for no such date."""
    if year < 1 or year > 9999 or month < 1 or month > 12 or day < 1:
        return np.iinfo(np.int64).min
    if day > _LENGTHS[month - 1] + (1 if month == 2 and leap(year) else 0):
        return np.iinfo(np.int64).min
    return _days(year, month, day) * _DAY


@kernel
def _digits(buffer: Bytes, at: int, end: int, most: int) -> tuple[int, int]:
    """A number of up to ``most`` digits and the position after it; -1 if there is none."""
    value = 0
    start = at
    while at < end and at - start < most and 48 <= buffer[at] <= 57:
        value = value * 10 + (wide(buffer[at]) - 48)
        at += 1
    return (value if at > start else _BAD), at


@kernel
def _month(buffer: Bytes, at: int, end: int) -> int:
    """Month 1 to 12 of the three letters at ``at``; -1 if they name none."""
    if at + 3 > end:
        return _BAD
    for month in range(12):
        if (
            (buffer[at] | 32) == _MONTHS[3 * month]
            and (buffer[at + 1] | 32) == _MONTHS[3 * month + 1]
            and (buffer[at + 2] | 32) == _MONTHS[3 * month + 2]
        ):
            return month + 1
    return _BAD


@kernel
def _spaces(buffer: Bytes, at: int, end: int) -> int:
    while at < end and buffer[at] == 32:
        at += 1
    return at


@kernel
def _clock(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """``8:26``, ``08:26:00`` or ``08:26:00.123`` as microseconds and the position after it; -1 if it is none."""
    hour, at = _digits(buffer, at, end, 2)
    if hour < 0 or at >= end or buffer[at] != 58:
        return _BAD, at
    at += 1
    start = at
    minute, at = _digits(buffer, at, end, 2)
    if at - start != 2:
        return _BAD, at
    second = 0
    micros = 0
    if at < end and buffer[at] == 58:
        start = at + 1
        second, at = _digits(buffer, start, end, 2)
        if at - start != 2:
            return _BAD, at
        if at < end and (buffer[at] == 46 or buffer[at] == 44):
            micros, at = _fraction(buffer, at + 1, end)
            if micros < 0:
                return _BAD, at
    return _of_day(hour, minute, second, micros), at


@kernel
def _fraction(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    start = at
    micros, at = _digits(buffer, at, end, 6)
    if micros < 0:
        return _BAD, at
    for _ in range(6 - (at - start)):
        micros *= 10
    while at < end and 48 <= buffer[at] <= 57:
        at += 1
    return micros, at


@kernel
def _of_day(hour: int, minute: int, second: int, micros: int) -> int:
    """Microseconds of a time of day; 24:00 and the leap second :60 belong to what follows them."""
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second or micros)):
        return _BAD
    return ((hour * 60 + minute) * 60 + second) * _SECOND + micros


@kernel
def _zone(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """State and offset (microseconds east of UTC) of the zone that ends a time at ``at``."""
    at = _spaces(buffer, at, end)
    if at == end:
        return LOCAL, 0
    byte = buffer[at]
    if end - at == 1 and (byte | 32) == 122:
        return INSTANT, 0
    if end - at == 3 and (byte | 32) == 117 and (buffer[at + 1] | 32) == 116 and (buffer[at + 2] | 32) == 99:
        return INSTANT, 0
    if end - at == 3 and (byte | 32) == 103 and (buffer[at + 1] | 32) == 109 and (buffer[at + 2] | 32) == 116:
        return INSTANT, 0
    if byte != 43 and byte != 45:
        return UNREADABLE, 0
    start = at + 1
    hour, at = _digits(buffer, start, end, 2)
    minute = 0
    if at - start != 2:
        return UNREADABLE, 0
    if at < end:
        start = at + 1 if buffer[at] == 58 else at
        minute, at = _digits(buffer, start, end, 2)
        if at - start != 2 or at != end:
            return UNREADABLE, 0
    if hour > 18 or minute > 59:
        return UNREADABLE, 0
    offset = (hour * 60 + minute) * 60 * _SECOND
    return INSTANT, -offset if byte == 45 else offset


@kernel
def _finish(buffer: Bytes, at: int, end: int, midnight: int, clock: int) -> tuple[int, int]:
    if midnight == np.iinfo(np.int64).min or clock < 0:
        return 0, UNREADABLE
    state, offset = _zone(buffer, at, end)
    return midnight + clock - offset, state


@kernel
def _epoch(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """A number since 1970, its unit told by its size."""
    negative = buffer[at] == 45
    if negative:
        at += 1
    start = at
    whole, at = _digits(buffer, at, end, 18)
    size = at - start
    more = at
    while more < end and 48 <= buffer[more] <= 57:
        more += 1
    micros = 0
    tail = more
    if tail < end and buffer[tail] == 46:
        micros, tail = _fraction(buffer, tail + 1, end)
    if whole < 0 or micros < 0 or tail != end or more - at > 1:
        return 0, UNREADABLE
    if more > at:
        value = whole // 100  # 19 digits: nanoseconds
    elif size == 14 and not negative and more == end and _compact_date(buffer, start) != np.iinfo(np.int64).min:
        clock = _compact_clock(buffer, start + 8, 6)
        if clock < 0:
            return 0, UNREADABLE
        return _compact_date(buffer, start) + clock, LOCAL
    elif size == 8 and not negative and more == end and _compact_date(buffer, start) != np.iinfo(np.int64).min:
        return _compact_date(buffer, start), LOCAL
    elif whole < 100_000_000_000:
        value = whole * _SECOND + micros
    elif whole < 100_000_000_000_000:
        value = whole * 1_000 + micros // 1_000
    elif whole < 100_000_000_000_000_000:
        value = whole
    else:
        value = whole // 1_000
    return -value if negative else value, INSTANT


@kernel
def _compact_date(buffer: Bytes, at: int) -> int:
    """Midnight of ``YYYYMMDD``, for years 1900 to 2199; minimum of int64 otherwise."""
    year, _ = _digits(buffer, at, at + 4, 4)
    month, _ = _digits(buffer, at + 4, at + 6, 2)
    day, _ = _digits(buffer, at + 6, at + 8, 2)
    if year < 1900 or year > 2199:
        return np.iinfo(np.int64).min
    return _date(year, month, day)


@kernel
def _compact_clock(buffer: Bytes, at: int, size: int) -> int:
    hour, _ = _digits(buffer, at, at + 2, 2)
    minute, _ = _digits(buffer, at + 2, at + 4, 2)
    second = 0
    if size == 6:
        second, _ = _digits(buffer, at + 4, at + 6, 2)
    return _of_day(hour, minute, second, 0)


@kernel
def _clock_and_zone(buffer: Bytes, at: int, end: int, midnight: int) -> tuple[int, int]:
    """What follows a date: nothing, or ``T`` or spaces and a time of day."""
    if at == end:
        return _finish(buffer, at, end, midnight, 0)
    if (buffer[at] | 32) == 116:
        at += 1
    elif buffer[at] == 32:
        at = _spaces(buffer, at, end)
    else:
        return 0, UNREADABLE
    clock, at = _clock(buffer, at, end)
    after = _spaces(buffer, at, end)
    if clock >= 0 and end - after == 2 and (buffer[after + 1] | 32) == 109:
        half = buffer[after] | 32
        hour = clock // (3600 * _SECOND)
        if (half != 97 and half != 112) or hour < 1 or hour > 12:
            return 0, UNREADABLE
        clock += ((12 if half == 112 else 0) - (12 if hour == 12 else 0)) * 3600 * _SECOND
        at = end
    return _finish(buffer, at, end, midnight, clock)


@kernel
def _numeric_date(buffer: Bytes, start: int, end: int) -> tuple[int, int]:
    """Times that begin with a digit and are not a bare number."""
    first, at = _digits(buffer, start, end, 8)
    size = at - start
    if at >= end:
        return 0, UNREADABLE
    separator = buffer[at]
    if size == 8 and (separator | 32) == 116:
        size = 0
        stop = at + 1
        while stop < end and 48 <= buffer[stop] <= 57:
            stop += 1
        size = stop - at - 1
        if size != 4 and size != 6:
            return 0, UNREADABLE
        clock = _compact_clock(buffer, at + 1, size)
        if clock >= 0 and stop < end and (buffer[stop] == 46 or buffer[stop] == 44):
            micros, stop = _fraction(buffer, stop + 1, end)
            clock = clock + micros if micros >= 0 else _BAD
        return _finish(buffer, stop, end, _compact_date(buffer, start), clock)
    if separator != 45 and separator != 47 and separator != 46:
        return 0, UNREADABLE
    if size <= 2 and separator == 47 and _month(buffer, at + 1, end) > 0:
        # 17/May/2015:10:05:03 +0000
        month = _month(buffer, at + 1, end)
        if at + 4 >= end or buffer[at + 4] != 47:
            return 0, UNREADABLE
        year, stop = _digits(buffer, at + 5, end, 4)
        if stop >= end or buffer[stop] != 58:
            return 0, UNREADABLE
        clock, stop = _clock(buffer, stop + 1, end)
        return _finish(buffer, stop, end, _date(year, month, first), clock)
    second, at = _digits(buffer, at + 1, end, 2)
    if at >= end or buffer[at] != separator:
        return 0, UNREADABLE
    third_start = at + 1
    third, at = _digits(buffer, third_start, end, 4)
    if size == 4 and at - third_start <= 2 and separator != 46:
        return _clock_and_zone(buffer, at, end, _date(first, second, third))
    if size <= 2 and at - third_start == 4 and separator == 47:
        return _clock_and_zone(buffer, at, end, _date(third, first, second))
    return 0, UNREADABLE


@kernel
def read_time(buffer: Bytes, start: int, end: int) -> tuple[int, int]:
    """Microseconds since 1970 and the state (INSTANT, LOCAL, YEARLESS, UNREADABLE) of one time."""
    byte = buffer[start]
    month = _month(buffer, start, end)
    if month > 0:
        at = start + 3
        if at >= end or buffer[at] != 32:
            return 0, UNREADABLE
        day, at = _digits(buffer, _spaces(buffer, at, end), end, 2)
        if day < 0 or at >= end or buffer[at] != 32:
            return 0, UNREADABLE
        at = _spaces(buffer, at, end)
        year, after = _digits(buffer, at, end, 4)
        if after - at == 4 and after < end and buffer[after] == 32:
            return _clock_and_zone(buffer, after, end, _date(year, month, day))
        clock, at = _clock(buffer, at, end)
        value, state = _finish(buffer, at, end, _date(2000, month, day), clock)
        return value, YEARLESS if state == LOCAL else UNREADABLE
    number = byte == 45 or 48 <= byte <= 57
    for i in range(start + 1, end):
        number = number and (48 <= buffer[i] <= 57 or buffer[i] == 46)
    if number:
        value, state = _epoch(buffer, start, end)
        return value, state
    if 48 <= byte <= 57:
        return _numeric_date(buffer, start, end)
    return 0, UNREADABLE


@kernel
def read_times(buffer: Bytes, starts: Int32s, ends: Int32s, kinds: Bytes) -> tuple[Int64s, Bytes]:
    """Read a column of times: (n,) values and (n,) states."""
    values = np.zeros(len(kinds), dtype=np.int64)
    states = np.zeros(len(kinds), dtype=np.uint8)
    for i in range(len(kinds)):
        if kinds[i] == 0:
            continue
        if kinds[i] != _TEXT and kinds[i] != _NUMBER:
            states[i] = UNREADABLE
            continue
        start, end = trim(buffer, wide(starts[i]), wide(ends[i]))
        if start < end:
            value, state = read_time(buffer, start, end)
            values[i] = value
            states[i] = state
    return values, states
