"""Rules as the text of a pack file, such that reading it gives the same rules."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Final

from detectors.keywords.rules import Rule

_COLUMNS: Final = (
    "id",
    "category",
    "subtype",
    "words",
    "severity",
    "weight",
    "hits",
    "state",
    "basis",
    "author",
    "since",
)


def pack_text(rules: Sequence[Rule], meta: Mapping[str, str]) -> str:
    """Write rules of words alone, below what the file says about itself (``#: name=value``)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for name, value in meta.items():
        writer.writerow([f"#: {name}={' '.join(value.split())}"])
    writer.writerow(_COLUMNS)
    for rule in rules:
        writer.writerow(
            [
                rule.id,
                rule.category,
                rule.subtype,
                "|".join(rule.words),
                rule.severity,
                f"{rule.weight:g}",
                "|".join(rule.hits),
                rule.state.value,
                rule.basis,
                rule.author,
                rule.since,
            ]
        )
    return out.getvalue()
