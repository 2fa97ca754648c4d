"""Columns of text that log lines are put together from: ids, money, addresses, times.

Addresses are from the ranges set aside for examples and tests: 198.18.0.0/15 (RFC 2544) and 2001:db8::/32 (RFC 3849).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liucun.sample.draws import Draws, Int64s

ZONE_MS: Final = 8 * 3_600_000
"""China Standard Time, which has no summer time, is 8 hours ahead."""

_DAY_MS: Final = 86_400_000
_HOURS: Final = (3, 2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 10, 9, 8, 8, 8, 8, 9, 12, 15, 16, 12, 7)
"""How busy a platform is in each hour of the day in Shanghai."""


@dataclass(frozen=True, slots=True)
class Block:
    """A run of rows of one stream.

    ``first`` counts the rows of the stream before it; times (ms since 1970, UTC) are from ``begin`` to before ``end``,
    and what follows from them later stays before ``until``.
    """

    seed: int
    number: int
    first: int
    rows: int
    begin: int
    end: int
    until: int

    def draws(self, name: str) -> Draws:
        """Random numbers of this block."""
        return Draws(self.seed, name, self.number)


def joined(*parts: pa.Array | str) -> pa.StringArray:
    """One text a row, put together from columns and constants."""
    return pc.binary_join_element_wise(*(pa.scalar(part) if isinstance(part, str) else part for part in parts), "")


def strings(numbers: Int64s, width: int = 0) -> pa.StringArray:
    """Numbers as text, with leading zeros up to ``width``."""
    text = pa.array(numbers).cast(pa.string())
    return pc.utf8_lpad(text, width, "0") if width else text


def named(prefix: str, numbers: Int64s, width: int) -> pa.StringArray:
    """Ids like ``u0000042``."""
    return joined(prefix, strings(numbers, width))


def money(fen: Int64s) -> pa.StringArray:
    """Amounts in fen as yuan with two decimals."""
    return joined(strings(fen // 100), ".", strings(fen % 100, 2))


def hexadecimal(draws: Draws, count: int) -> pa.StringArray:
    """16 hexadecimal digits."""
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    raw = draws.bits(count).astype("<u8").view(np.uint8)
    shown = np.empty(len(raw) * 2, dtype=np.uint8)
    shown[0::2], shown[1::2] = digits[raw >> 4], digits[raw & 15]
    offsets = np.arange(count + 1, dtype=np.int32) * 16
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(shown))


def addresses(hosts: Int64s) -> pa.StringArray:
    """One address a host number, always the same for the same number; every eighth is IPv6."""
    host = hosts % (1 << 17)
    four = joined("198.", strings(18 + (host >> 16)), ".", strings(host >> 8 & 255), ".", strings(host & 255))
    six = joined("2001:db8::", strings(host % 9999))
    return pc.if_else(pa.array(hosts % 8 == 7), six, four)


def ports(draws: Draws, count: int) -> pa.StringArray:
    """Source ports, which identify a user behind a shared address."""
    return strings(draws.between(1024, 65_536, count))


def moments(draws: Draws, block: Block, count: int) -> Int64s:
    """Sorted times of the block, more of them in busy hours."""
    borders = np.concatenate(([0], np.cumsum(np.array(_HOURS, dtype=np.float64))))
    days = max((block.end - block.begin) // _DAY_MS, 1)
    # Whole days of Shanghai, wrapped round inside the block so that no time falls outside it.
    in_day = np.interp(draws.unit(count) * borders[-1], borders, np.arange(25) * 3_600_000.0).astype(np.int64)
    start = block.begin - (block.begin + ZONE_MS) % _DAY_MS
    offset = (start - block.begin + draws.below(int(days), count) * _DAY_MS + in_day) % (block.end - block.begin)
    return np.sort(block.begin + offset)


def iso(times: Int64s) -> pa.StringArray:
    """Times like ``2026-10-03T20:15:01.250+08:00``."""
    return joined(_shown(times, "%Y-%m-%dT%H:%M:%S"), "+08:00")


def apache(times: Int64s) -> pa.StringArray:
    """Times of access logs like ``03/Oct/2026:20:15:01 +0800``."""
    return joined(_shown(times // 1000 * 1000, "%d/%b/%Y:%H:%M:%S", "s"), " +0800")


def rfc3164(times: Int64s) -> pa.StringArray:
    """Times of RFC 3164 section 4.1.2 like ``Oct  3 20:15:01``: no year, no zone, the day padded with a blank."""
    month = _shown(times, "%b", "s")
    day = pc.utf8_lpad(_shown(times, "%d", "s").cast(pa.int32()).cast(pa.string()), 2, " ")
    return joined(month, " ", day, " ", _shown(times, "%H:%M:%S", "s"))


def _shown(times: Int64s, form: str, unit: str = "ms") -> pa.StringArray:
    scaled = times + ZONE_MS if unit == "ms" else (times + ZONE_MS) // 1000
    return pc.strftime(pa.array(scaled).cast(pa.timestamp(unit)), format=form)
