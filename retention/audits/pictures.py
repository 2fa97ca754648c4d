"""Pictures of audits as SVG: a calendar of days, bars. What colour says, a sign or a number says too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from html import escape
from typing import Final

from retention.audits.days import Coverage

SHADES: Final = ("#c6dbef", "#8db9da", "#3f86bd", "#08408a")
"""From few to many; in black and white they stay apart, and apart from a cell without records, which is not filled."""
_SHADES_OF: Final = {1: (2,), 2: (0, 3), 3: (0, 2, 3), 4: (0, 1, 2, 3)}
PALE: Final = "#bbbbbb"
GAP: Final = "#a00000"
GONE: Final = "#8a8a8a"
INK: Final = "#333333"
FONT: Final = "'Noto Sans CJK SC', 'Source Han Sans SC', 'Microsoft YaHei', sans-serif"
_CELL: Final = 11
_STEP: Final = 13
_LEFT: Final = 30
_TOP: Final = 20
_WEEKDAYS: Final = ((0, "一"), (2, "三"), (4, "五"), (6, "日"))
COLOURS: Final = ("#08408a", "#3f86bd", "#b5d3e9", "#a00000", "#8a8a8a", "#e0a100")
_DARK: Final = frozenset({"#08408a", "#3f86bd", "#a00000"})


def calendar(found: Coverage) -> str:
    """A class's days as weeks of seven cells, Monday on top; a day that lacks records bears a cross."""
    start = found.first - timedelta(days=found.first.weekday())
    gaps = set(found.gaps)
    busy = sorted(rows for rows in found.rows if rows)
    quarters = {busy[len(busy) * part // 4] for part in (1, 2, 3)} if busy else set()
    bounds = sorted(bound for bound in quarters if bound < busy[-1])
    shades = [SHADES[n] for n in _SHADES_OF[len(bounds) + 1]]
    parts: list[str] = []
    last_month = -1000
    for n, rows in enumerate(found.rows):
        day = found.first + timedelta(days=n)
        week, weekday = divmod((day - start).days, 7)
        x, y = _LEFT + week * _STEP, _TOP + weekday * _STEP
        if rows:
            parts.append(_cell(x, y, shades[sum(rows > bound for bound in bounds)], f"{day} {rows:,}"))
        elif day in gaps:
            parts.append(_cell(x, y, "#ffffff", f"{day} 无记录", stroke=GAP))
            parts.append(_cross(x, y))
        elif day in found.destroyed:
            parts.append(_cell(x, y, "#ffffff", f"{day} 已依法销毁", stroke=GONE))
            parts.append(f'<circle cx="{x + 5.5}" cy="{y + 5.5}" r="2" fill="{GONE}"/>')
        else:
            parts.append(_cell(x, y, "#ffffff", f"{day} {_blank(found)}", stroke=PALE))
        if day.day == 1 and x - last_month > 48:
            parts.append(_label(x, 13, f"{day:%Y-%m}"))
            last_month = x
    for weekday, name in _WEEKDAYS:
        parts.append(_label(8, _TOP + weekday * _STEP + 9.5, name))
    weeks = (found.first + timedelta(days=len(found.rows) - 1) - start).days // 7 + 1
    width, height = _LEFT + weeks * _STEP + 24, _TOP + 7 * _STEP + 24
    parts.append(_legend(_LEFT, _TOP + 7 * _STEP + 8, bounds, shades if busy else [], found))
    return _svg(width, height, parts)


def _blank(found: Coverage) -> str:
    """What a day without a record means where none is missed."""
    return "首条记录之前 before the first" if found.daily else "无记录,不要求每日有 none, none expected"


def _legend(x: float, y: float, bounds: Sequence[int], shades: Sequence[str], found: Coverage) -> str:
    parts = []
    low = 1
    for shade, bound in zip(shades, [*bounds, None], strict=False):
        parts.append(_cell(x, y, shade, ""))
        words = (
            f"{low:,}–{bound:,}" if bound is not None and bound > low else f"{low:,}+" if bound is None else f"{low:,}"
        )
        parts.append(_label(x + 15, y + 9.5, words))
        x += 34 + 6.2 * len(words)
        low = bound + 1 if bound is not None else low
    if found.daily:
        parts += [_cell(x, y, "#ffffff", "", stroke=GAP), _cross(x, y), _label(x + 15, y + 9.5, "缺记录 missing")]
        x += 110
    parts += [_cell(x, y, "#ffffff", "", stroke=GONE), f'<circle cx="{x + 5.5}" cy="{y + 5.5}" r="2" fill="{GONE}"/>']
    parts.append(_label(x + 15, y + 9.5, "已销毁 destroyed"))
    parts += [_cell(x + 120, y, "#ffffff", "", stroke=PALE), _label(x + 135, y + 9.5, _blank(found))]
    return "".join(parts)


def bars(names: Sequence[str], series: Sequence[tuple[str, Sequence[int]]], *, unit: str = "") -> str:
    """Horizontal stacked bars: one a name, its parts in the order of ``series`` (label, a value a name)."""
    totals = [sum(values[n] for _, values in series) for n in range(len(names))]
    top = max([*totals, 1])
    left, width, row = 130, 430, 26
    parts: list[str] = []
    for n, name in enumerate(names):
        y = 8 + n * row
        parts.append(_label(left - 8, y + 14, name, end=True))
        x = float(left)
        for colour, (label, values) in zip(COLOURS * 3, series, strict=False):
            size = values[n] / top * width
            if size > 0:
                parts.append(
                    f'<rect x="{x:.1f}" y="{y}" width="{max(size, 0.8):.1f}" height="18" fill="{colour}">'
                    f"<title>{escape(f'{name} {label} {values[n]:,}')}</title></rect>"
                )
                if values[n] < totals[n] and size > 12 + 6.2 * len(f"{values[n]:,}"):
                    parts.append(_inside(x + 5, y + 13, f"{values[n]:,}", light=colour in _DARK))
                x += size
        parts.append(_label(x + 6, y + 14, f"{totals[n]:,}{unit}"))
    y, x = 8 + len(names) * row + 6, float(left)
    if len(series) > 1:
        for colour, (label, _) in zip(COLOURS * 3, series, strict=False):
            parts += [
                f'<rect x="{x:.1f}" y="{y}" width="11" height="11" fill="{colour}"/>',
                _label(x + 15, y + 10, label),
            ]
            x += 40 + sum(11 if ord(char) > 0x2E80 else 6.2 for char in label)
    return _svg(660, y + (22 if len(series) > 1 else 4), parts)


def columns(labels: Sequence[str], values: Sequence[int]) -> str:
    """Vertical bars over time, one a label; some of the labels are written."""
    top = max([*values, 1])
    left, width, height = 54, 600, 130
    pitch = width / max(len(values), 1)
    parts = [
        f'<path d="M{left} {height + 8}H{left + width}" stroke="{INK}" stroke-width="0.6"/>',
        _label(left - 6, 16, f"{top:,}", end=True),
        _label(left - 6, height + 10, "0", end=True),
    ]
    every = max(len(values) // 8, 1)
    if not any(values):
        parts.append(_label(left + width / 2 - 30, height / 2, "没有 none"))
    for n, (label, value) in enumerate(zip(labels, values, strict=True)):
        size, x = value / top * height, left + n * pitch
        if value:
            parts.append(
                f'<rect x="{x + pitch * 0.1:.1f}" y="{8 + height - size:.1f}" width="{pitch * 0.8:.2f}" '
                f'height="{size:.1f}" fill="{SHADES[2]}"><title>{escape(f"{label} {value:,}")}</title></rect>'
            )
        if n % every == 0:
            parts.append(_label(x, height + 24, label))
    return _svg(left + width + 40, height + 32, parts)


def intervals(rows: Sequence[tuple[str, float, float, float]]) -> str:
    """Estimates in [0, 1] with their intervals, one a row: (label, low, estimate, high)."""
    top = max([high for _, _, _, high in rows] + [1e-6])
    left, width, row = 100, 420, 22
    parts: list[str] = []
    for n, (name, low, middle, high) in enumerate(rows):
        y = 8 + n * row + 8
        begin, at, end = (left + value / top * width for value in (low, middle, high))
        parts += [
            _label(left - 8, y + 4, name, end=True),
            f'<path d="M{begin:.1f} {y}H{end:.1f}M{begin:.1f} {y - 4}V{y + 4}M{end:.1f} {y - 4}V{y + 4}" '
            f'stroke="{SHADES[2]}" stroke-width="1.6"/>',
            f'<circle cx="{at:.1f}" cy="{y}" r="3.4" fill="{SHADES[3]}">'
            f"<title>{escape(f'{name} {middle:.2%} ({low:.2%} – {high:.2%})')}</title></circle>",
            _label(left + width + 12, y + 4, f"{middle:.2%} ({low:.2%} – {high:.2%})"),
        ]
    return _svg(left + width + 160, 8 + len(rows) * row + 8, parts)


def _cell(x: float, y: float, fill: str, title: str, *, stroke: str | None = None) -> str:
    edge = f' stroke="{stroke}" stroke-width="0.8"' if stroke else ""
    said = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" rx="1.5" fill="{fill}"{edge}>{said}</rect>'


def _cross(x: float, y: float) -> str:
    a, b, c, d = x + 2.5, y + 2.5, x + 8.5, y + 8.5
    return f'<path d="M{a} {b}L{c} {d}M{c} {b}L{a} {d}" stroke="{GAP}" stroke-width="1.3"/>'


def _inside(x: float, y: float, text: str, *, light: bool) -> str:
    fill = "#ffffff" if light else "#000000"
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="10.5" fill="{fill}">{escape(text)}</text>'


def _label(x: float, y: float, text: str, *, end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="10.5" fill="{INK}"{anchor}>{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="图 chart" font-family="{FONT}">{"".join(parts)}</svg>'
    )
