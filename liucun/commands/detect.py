"""``liucun detect``: run the detectors over lines of text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
import numpy as np
import orjson
import pyarrow as pa

from detectors.base import Detector
from detectors.combined import CombinedDetector
from liucun.cli import json_option, store_option

BATCH_BYTES = 1 << 20
BATCH_LINES = 20_000
EVIDENCE = 8
"""N-grams shown of each finding."""
CONTEXT = 12
"""Characters shown on each side of a hit."""


@click.command(name="detect", short_help="Run the detectors on lines of text.")
@click.option("--model", type=click.Path(path_type=Path), metavar="DIR", help="Another model than the one that ships.")
@click.option("--explain", is_flag=True, help="Show the n-grams that speak for each finding of the model.")
@store_option
@json_option
def command(model: Path | None, explain: bool, store: Path, as_json: bool) -> None:
    """Run the detectors on text 检测文本: every line of standard input is one text.

    Rules and model are those of the store, where there is one, else those that ship. Invalid
    UTF-8 is read with U+FFFD in its place. Offsets count characters of the line, end exclusive.
    With --explain each finding of the model has its evidence 依据: n-grams of the line with their places,
    the view in which they were read, and their share of the score, before it is calibrated.
    The exit code is 0 whatever was found.
    """
    from liucun.rule_layers import detector_at

    detector = detector_at(store, model)
    number = hits = 0
    for lines in _batches(sys.stdin.buffer):
        texts = pa.array(lines, pa.string())
        findings = detector.detect(texts)
        said = findings.to_pylist()
        if explain:
            _explain(detector, lines, said)
        out = _json_lines(lines, said, number) if as_json else _table_lines(lines, said, number)
        sys.stdout.write(out)
        number += len(lines)
        hits += len(np.unique(findings.column("row").to_numpy()))
    if not as_json:
        click.echo(f"{number:,} lines, {hits:,} with illegal content 违法信息. ({detector.version})")


def _batches(source: BinaryIO) -> Iterator[list[str]]:
    """Yield lines without their terminators, some thousand at a time; only a line feed ends a line."""
    lines: list[str] = []
    size = 0
    for raw in source:
        line = raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")
        lines.append(line)
        size += len(raw)
        if size >= BATCH_BYTES or len(lines) >= BATCH_LINES:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines


def verdict(findings: list[dict[str, Any]]) -> tuple[str | None, float]:
    """Return a text's category and score from its findings.

    A category's score is ``1 - (1 - s1)(1 - s2)…`` over its distinct rules; the text's is the highest of them.
    """
    doubt: dict[str, float] = {}
    for category, _rule, score in {(f["category"], f["rule"], f["score"]) for f in findings}:
        doubt[category] = doubt.get(category, 1.0) * (1.0 - score)
    if not doubt:
        return None, 0.0
    category = min(sorted(doubt), key=lambda name: doubt[name])
    return category, round(1.0 - doubt[category], 4)


def _explain(detector: Detector, lines: list[str], findings: list[dict[str, Any]]) -> None:
    """Give each finding of a model its ``evidence``: the n-grams of the line that speak for its label."""
    from dataclasses import asdict

    from detectors.model import ModelDetector
    from detectors.model.explain import explain

    parts = detector.detectors if isinstance(detector, CombinedDetector) else (detector,)
    for part in parts:
        if not isinstance(part, ModelDetector):
            continue
        for found in findings:
            label = found["rule"].removeprefix("model:").removesuffix(":sampling").removesuffix(":second")
            if found["version"] == part.version and label in part.model.labels:
                said = explain(part.model, lines[found["row"]], label, EVIDENCE)
                found["evidence"] = [asdict(one) | {"weight": round(one.weight, 4)} for one in said]


def _json_lines(lines: list[str], findings: list[dict[str, Any]], before: int) -> str:
    by_row: dict[int, list[dict[str, Any]]] = {}
    for one in findings:
        keys = ("rule", "category", "subtype", "start", "end", "matched", "evidence")
        entry = {key: one[key] for key in keys if key in one}
        by_row.setdefault(one["row"], []).append(entry | {"score": round(one["score"], 4)})
    out = []
    for row in range(len(lines)):
        found = by_row.get(row, [])
        category, score = verdict(found)
        entry = {
            "line": before + row + 1,
            "illegal": bool(found),
            "category": category,
            "score": score,
            "findings": found,
        }
        out.append(orjson.dumps(entry).decode())
    return "".join(line + "\n" for line in out)


def _table_lines(lines: list[str], findings: list[dict[str, Any]], before: int) -> str:
    out = []
    for found in findings:
        line = lines[found["row"]]
        left = line[max(0, found["start"] - CONTEXT) : found["start"]]
        right = line[found["end"] : found["end"] + CONTEXT]
        shown = _printable(f"{left}【{found['matched']}】{right}")
        name = f"{found['category']}/{found['subtype']}" if found["subtype"] else found["category"]
        out.append(f"{before + found['row'] + 1}\t{name}\t{found['score']:.2f}\t{found['rule']}\t{shown}\n")
        for one in found.get("evidence", ()):
            out.append(f"\t\t{one['weight']:+.3f}\t{one['view']}\t{_printable(one['text'])}\n")
    return "".join(out)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in text)
