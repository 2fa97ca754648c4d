"""Geometry of the overview's pictures; the templates draw it as inline SVG, with the table behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from console.reading.overview import Found
from retention.audits.days import Coverage

CELL: Final = 9
STEP: Final = 11
LEFT: Final = 28
TOP: Final = 16
COLOURS: Final = 7


@dataclass(frozen=True, slots=True)
class Cell:
    """A day: place, shade ``c0`` to ``c4``, ``gap`` or ``gone`` (destroyed), and what it says."""

    x: int
    y: int
    shade: str
    day: date
    rows: int


@dataclass(frozen=True, slots=True)
class YearPicture:
    """A class's calendar as weeks of seven cells; ``months`` are (x, month)."""

    record_class: str
    width: int
    height: int
    cells: tuple[Cell, ...]
    months: tuple[tuple[int, str], ...]


def year_picture(found: Coverage) -> YearPicture:
    """Lay a calendar out, weeks from left to right, Monday on top."""
    start = found.first - timedelta(days=found.first.weekday())
    gaps = set(found.gaps)
    busy = sorted(rows for rows in found.rows if rows)
    bounds = [busy[len(busy) * part // 4] for part in (1, 2, 3)] if busy else []
    cells: list[Cell] = []
    months: list[tuple[int, str]] = []
    for n, rows in enumerate(found.rows):
        day = found.first + timedelta(days=n)
        week, weekday = divmod((day - start).days, 7)
        x, y = LEFT + week * STEP, TOP + weekday * STEP
        if rows:
            shade = f"c{sum(rows > bound for bound in bounds) + 1}"
        else:
            shade = "gap" if day in gaps else "gone" if day in found.destroyed else "c0"
        cells.append(Cell(x, y, shade, day, rows))
        if day.day == 1 and (not months or x - months[-1][0] > len(months[-1][1]) * 7):
            months.append((x, f"{day:%Y-%m}" if day.month == 1 or not months else f"{day.month}"))
    weeks = cells[-1].x + STEP if cells else LEFT
    return YearPicture(found.record_class, weeks + 2, TOP + 7 * STEP, tuple(cells), tuple(months))


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a stacked bar."""

    x: float
    y: float
    width: float
    height: float
    colour: int
    title: str


@dataclass(frozen=True, slots=True)
class BarPicture:
    """Stacked bars with grid lines (y, value) and labels (x, text)."""

    width: int
    height: int
    blocks: tuple[Block, ...]
    lines: tuple[tuple[float, int], ...]
    labels: tuple[tuple[float, str], ...]
    legend: tuple[tuple[int, str], ...]


def bars(found: Found, *, width: int = 1160, height: int = 200) -> BarPicture:
    """Tickets a day, stacked by category; the smallest categories share the last colour."""
    names = list(found.by_category)
    colour = {name: min(n, COLOURS - 1) for n, name in enumerate(names)}
    sums = [sum(found.by_category[name][n] for name in names) for n in range(len(found.days))]
    top = _round_up(max(sums, default=0))
    left, bottom, above = 40, height - 22, 8
    pitch = (width - left - 4) / len(found.days)
    scale = (bottom - above) / top
    blocks: list[Block] = []
    for n, day in enumerate(found.days):
        base = float(bottom)
        for name in names:
            count = found.by_category[name][n]
            if count:
                size = count * scale
                base -= size
                place = left + n * pitch + pitch * 0.14
                blocks.append(
                    Block(
                        round(place, 1),
                        round(base, 1),
                        round(pitch * 0.72, 1),
                        round(size, 1),
                        colour[name],
                        f"{day} {name} {count}",
                    )
                )
    lines = tuple((round(bottom - top * part / 4 * scale, 1), round(top * part / 4)) for part in range(5))
    labels = tuple(
        (round(left + (n + 0.5) * pitch, 1), f"{day:%m-%d}") for n, day in enumerate(found.days) if n % 5 == 4
    )
    return BarPicture(width, height, tuple(blocks), lines, labels, tuple((colour[name], name) for name in names))


def _round_up(value: int) -> int:
    """The next value that four grid lines divide."""
    for size in (4, 8, 12, 20, 40, 80, 100, 200, 400, 800, 1000, 2000, 4000, 8000, 10_000):
        if value <= size:
            return size
    return -(-value // 10_000) * 10_000
