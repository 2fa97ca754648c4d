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

from liucun.cli import json_option, store_option

BATCH_BYTES = 1 << 20
BATCH_LINES = 20_000
CONTEXT = 12
"""Characters shown on each side of a hit."""


@click.command(name="detect", short_help="Run the detectors on lines of text.")
@click.option("--model", type=click.Path(path_type=Path), metavar="DIR", help="Another model than the one that ships.")
@store_option
@json_option
def command(model: Path | None, store: Path, as_json: bool) -> None:
    """Run the detectors on text 检测文本: every line of standard input is one text.

    Rules and model are those of the store, where there is one, else those that ship. Invalid
    UTF-8 is read with U+FFFD in its place. Offsets count characters of the line, end exclusive.
    The exit code is 0 whatever was found.
    """
    from liucun.rule_layers import detector_at

    detector = detector_at(store, model)
    number = hits = 0
    for lines in _batches(sys.stdin.buffer):
        texts = pa.array(lines, pa.string())
        findings = detector.detect(texts)
        out = _json_lines(lines, findings, number) if as_json else _table_lines(lines, findings, number)
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


def _json_lines(lines: list[str], findings: pa.RecordBatch, before: int) -> str:
    by_row: dict[int, list[dict[str, Any]]] = {}
    for found in findings.to_pylist():
        entry = {key: found[key] for key in ("rule", "category", "subtype", "start", "end", "matched")}
        by_row.setdefault(found["row"], []).append(entry | {"score": round(found["score"], 4)})
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


def _table_lines(lines: list[str], findings: pa.RecordBatch, before: int) -> str:
    out = []
    for found in findings.to_pylist():
        line = lines[found["row"]]
        left = line[max(0, found["start"] - CONTEXT) : found["start"]]
        right = line[found["end"] : found["end"] + CONTEXT]
        shown = "".join(c if c.isprintable() else "·" for c in f"{left}【{found['matched']}】{right}")
        name = f"{found['category']}/{found['subtype']}" if found["subtype"] else found["category"]
        out.append(f"{before + found['row'] + 1}\t{name}\t{found['score']:.2f}\t{found['rule']}\t{shown}\n")
    return "".join(out)
