"""From hits of rules to findings: offsets in the original, matched text, scores by text and category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.base import FINDING_SCHEMA
from detectors.keywords.patterns import RulePlan
from detectors.keywords.placed import Spans
from detectors.keywords.rules import Rule
from detectors.normalise.view import Points, View

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """Hits of rules in one reading of a column: ``rule`` numbers ``rules``, ``start`` and ``end`` count code points."""

    rules: list[Rule]
    row: Longs
    rule: Longs
    start: Longs
    end: Longs
    matched: list[str]


def found_in(hits: Spans, plans: Sequence[RulePlan], seen: View, points: Points, borders: Longs, rows: Longs) -> Found:
    """Translate token spans of ``plans`` into spans of the original and cut the matched text out of it."""
    if not len(hits):
        return NOTHING
    first, last = hits.start, hits.end - 1
    spoke, rule = np.unique(hits.own, return_inverse=True)
    local = np.searchsorted(seen.rows, first, side="right") - 1
    start, end = seen.start[first].astype(np.int64), seen.end[last].astype(np.int64)
    low, high = borders[local] + start, borders[local] + end
    matched = [
        points[a:b].tobytes().decode("utf-32-le", "replace") for a, b in zip(low.tolist(), high.tolist(), strict=True)
    ]
    return Found([plans[n].rule for n in spoke.tolist()], rows[local], rule, start, end, matched)


def judged(parts: list[Found], threshold: float) -> pa.RecordBatch:
    """Merge readings, keep the texts whose score in a category reaches ``threshold``, order by row and start.

    A rule that finds the same or an overlapping place in two readings counts once.
    """
    rules: list[Rule] = []
    numbers: dict[str, int] = {}
    for part in parts:
        for rule in part.rules:
            if rule.id not in numbers:
                numbers[rule.id] = len(rules)
                rules.append(rule)
    if not rules:
        return _empty()
    row = np.concatenate([part.row for part in parts])
    own = np.concatenate([np.array([numbers[r.id] for r in part.rules], np.int64)[part.rule] for part in parts])
    start = np.concatenate([part.start for part in parts])
    end = np.concatenate([part.end for part in parts])
    matched = np.array([text for part in parts for text in part.matched], object)
    order = np.lexsort((-end, start, own, row))
    row, own, start, end, matched = row[order], own[order], start[order], end[order], matched[order]
    group = np.cumsum((np.diff(row, prepend=-1) != 0) | (np.diff(own, prepend=-1) != 0))
    # Spans of other groups cannot reach in: each group gets a stretch of its own.
    shift = group * (int(end.max(initial=0)) + 1)
    reach = np.maximum.accumulate(end + shift)
    fresh = np.ones(len(row), np.bool_)
    fresh[1:] = start[1:] + shift[1:] >= reach[:-1]
    row, own, start, end, matched = row[fresh], own[fresh], start[fresh], end[fresh], matched[fresh]
    keep = _enough(row, own, rules, threshold)
    row, own, start, end, matched = row[keep], own[keep], start[keep], end[keep], matched[keep]
    order = np.lexsort((own, -end, start, row))
    spoke, said = np.unique(own[order], return_inverse=True)
    versions = pa.array([rules[n].version for n in spoke.tolist()], pa.string())
    picked = [rules[i] for i in own[order].tolist()]
    return pa.record_batch(
        [
            pa.array(row[order].astype(np.int32)),
            pa.array([rule.id for rule in picked], pa.string()),
            pa.array([rule.category for rule in picked], pa.string()),
            pa.array([rule.subtype or None for rule in picked], pa.string()),
            pa.array([rule.severity for rule in picked], pa.int8()),
            pa.array(start[order].astype(np.int32)),
            pa.array(end[order].astype(np.int32)),
            pa.array(matched[order].tolist(), pa.string()),
            pa.array([rule.weight for rule in picked], pa.float32()),
            versions.take(pa.array(said)),
        ],
        schema=FINDING_SCHEMA,
    )


def _enough(row: Longs, own: Longs, rules: list[Rule], threshold: float) -> npt.NDArray[np.bool_]:
    """Which hits belong to a text and category whose score suffices."""
    names = sorted({rule.category for rule in rules})
    category = np.array([names.index(rule.category) for rule in rules], np.int64)[own]
    doubt = np.log1p(-np.minimum(np.array([rule.weight for rule in rules]), 0.999999))[own]
    pair = row * len(names) + category
    once = (
        np.unique(np.stack([pair, own], axis=1), axis=0, return_index=True)[1] if len(pair) else np.zeros(0, np.int64)
    )
    pairs, where = np.unique(pair[once], return_inverse=True)
    score = 1 - np.exp(np.bincount(where, doubt[once], minlength=len(pairs)))
    return np.asarray(score[np.searchsorted(pairs, pair)] >= threshold - 1e-9)


def _empty() -> pa.RecordBatch:
    return pa.record_batch([pa.array([], field.type) for field in FINDING_SCHEMA], schema=FINDING_SCHEMA)


_NONE = np.zeros(0, np.int64)
NOTHING: Final = Found([], _NONE, _NONE, _NONE, _NONE, [])
