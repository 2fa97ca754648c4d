"""Findings of audits for a reader: in Chinese by the table of ``finding_kinds``, figures included, English beside.

A finding keeps its detail in English, as the JSON has it and as reports that were kept have it; people read both. What
a detail quotes (the message of an error) stays as it is, and the Chinese beside it says what kind of thing it is.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from retention.audits.finding_kinds import KINDS
from retention.audits.kinds import NAMES
from retention.audits.moments import in_shanghai
from retention.audits.report import Finding
from retention.audits.words import PLACES

_NUMERALS: Final = "一二三四五六七八九"
_SPAN: Final = re.compile(r"(\d+) (min|h|days)")
_UNITS: Final = {"min": "分钟", "h": "小时", "days": "天"}
_REASONS: Final = {
    "hold": "保全", "ticket": "相关工单未结", "open_subjects": "有未完结的交易或主体", "unread": "同类有封存段尚未读取",
    "floor": "下限未满", "young": "入库未满最短天数",
}  # fmt: skip
"""Why a unit stays past its ceiling, by the code of the reason."""


def kind_name(kind: str) -> str:
    """A kind's name in Chinese; the kind itself where it has none."""
    known = KINDS.get(kind)
    return known.name if known else kind


def in_chinese(kind: str, detail: str) -> str:
    """What a finding says in Chinese; empty of a kind that this version does not know."""
    known = KINDS.get(kind)
    if known is None:
        return ""
    for pattern, template in known.forms.items():
        match = _compiled(pattern).fullmatch(detail)
        if match:
            return in_shanghai(template.format(*(_said(kind, group) for group in match.groups())))
    return known.says


def _said(kind: str, figure: str) -> str:
    """What stands in the place of a figure: spans of time, items and types of content have words of their own."""
    if kind == "source_silent" and (span := _SPAN.fullmatch(figure)):
        return f"{span[1]} {_UNITS[span[2]]}"
    if kind == "kept_past_ceiling":
        return "；".join(f"{_REASONS.get(code, code)} {rest}".strip() for code, rest in _reasons(figure))
    if kind == "not_monitored":
        return f"{NAMES[figure]} {figure}" if figure in NAMES else item_numeral(figure)
    return figure


def _reasons(figure: str) -> list[tuple[str, str]]:
    """Codes with, of those that name things, the names; what the code says is not said twice."""
    parts = (part.partition(": ") for part in figure.split("; "))
    return [(code, rest if code == "hold" else "") for code, _, rest in parts]


def item_numeral(item: str | int) -> str:
    """An item of Article 15 as the law numbers it (一 to 九); anything else as it is."""
    return _NUMERALS[int(item) - 1] if str(item) in tuple("123456789") else str(item)


def place(where: str) -> str:
    """Where a finding is, for people: the kind of place in Chinese before its name."""
    kind, colon, name = where.partition(":")
    if kind not in PLACES:
        return in_shanghai(where)
    if kind == "article15":
        return f"{PLACES[kind]}（{item_numeral(name)}）项"
    if not colon:
        return f"{PLACES[kind]} {where}"
    return f"{PLACES[kind]} {name.replace(' field:', ' 字段 ')}".replace("..", " 至 ")


def both(finding: Finding) -> tuple[str, str]:
    """A finding's kind and detail for a reader: Chinese, with the English and the code beside."""
    chinese = in_chinese(finding.kind, finding.detail)
    name = kind_name(finding.kind)
    kind = finding.kind if name == finding.kind else f"{name}\n{finding.kind}"
    english = in_shanghai(finding.detail)
    return kind, f"{chinese}\n{english}" if chinese else english


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)
