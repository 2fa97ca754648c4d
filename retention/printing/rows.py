"""Which rows of a printed table may break over pages: those that might not find room on one.

A row is kept whole where it surely fits. What a row takes is estimated from the widths of its columns and characters:
too high an estimate lets a row break that need not, too low a one would set its end below the paper's edge.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 470.0
"""Points between the margins of A4."""
NAMES: Final = 170.0
"""Points of the column of names beside values."""
_WHOLE: Final = 230.0
"""Points that a row may take by its estimate and still be kept whole: a third of the page, so that it surely fits."""
_INSETS: Final = 10.0
_LINE: Final = 1.75
"""Height of a line, in sizes of its letters."""
_NARROW: Final = 0.62
"""Width of a letter that is not Chinese, in its size."""


def break_pairs(rows: Sequence[Sequence[str]], size: float) -> list[bool]:
    """Which rows of names and values, set at ``size`` points, may break."""
    return [_height(row, (NAMES, WIDTH - NAMES), size) > _WHOLE for row in rows]


def break_grid(rows: Sequence[Sequence[str]], shares: Sequence[float], size: float) -> list[bool]:
    """Which rows of a table may break. ``shares`` of the width by column; none: as wide as they need, so all alike."""
    columns = len(shares) or max(map(len, rows), default=1)
    parts = shares or [1.0] * columns
    widths = [WIDTH * part / sum(parts) for part in parts]
    return [_height(row, widths, size) > _WHOLE for row in rows]


def _height(row: Sequence[str], widths: Sequence[float], size: float) -> float:
    return max((_lines(cell, width, size) for cell, width in zip(row, widths, strict=True)), default=0) * size * _LINE


def _lines(text: str, width: float, size: float) -> int:
    room = max(width - _INSETS, size)
    return sum(max(math.ceil(_units(line) * size / room), 1) for line in text.split("\n"))


def _units(line: str) -> float:
    if line.isascii():
        return _NARROW * len(line)
    return sum(1.0 if unicodedata.east_asian_width(char) in "WFA" else _NARROW for char in line)
