"""What was asked: the statements of queries without the values in them, which may name persons."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb

from retention.audits.report import AuditReport, Table
from retention.policies.periods import SHANGHAI

MOST_ASKED: Final = 200
"""Queries that a report lists, the newest; all of them are counted by account."""
LONGEST: Final = 300
LEFT_OUT: Final = "…"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHORT_NUMBER: Final = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Asked:
    """One query: ``rows`` is None where it was not answered."""

    at: datetime
    actor: str
    sql: str
    purpose: str
    rows: int | None


def outline(sql: str) -> str:
    """A statement with texts, long numbers, quoted names and comments left out."""
    return " ".join(_parts(sql))[:LONGEST]


def _parts(sql: str) -> Iterator[str]:
    data = sql.encode("utf-8", "replace")
    try:
        tokens = duckdb.tokenize(data.decode())
    except (duckdb.Error, ValueError):
        yield LEFT_OUT
        return
    starts = [start for start, _ in tokens]
    for (start, kind), end in zip(tokens, [*starts, len(data)][1:], strict=True):
        text = data[start:end].decode("utf-8", "replace").strip()
        name = str(kind).rpartition(".")[2]
        if name == "comment":
            continue
        plain = (
            name in ("keyword", "operator")
            or (name == "identifier" and _NAME.fullmatch(text))
            or (name == "numeric_const" and _SHORT_NUMBER.fullmatch(text))
        )
        yield text if plain else LEFT_OUT


def show_asked(report: AuditReport, queries: Iterable[Asked]) -> None:
    """List the newest queries: who asked what, why, how many rows."""
    found = sorted(queries, key=lambda one: one.at, reverse=True)
    shown = found[:MOST_ASKED]
    few = f"(最近 {len(shown)} 项,共 {len(found):,} 项 the newest {len(shown)} of {len(found):,})"
    report.tables.append(
        Table(
            "asked",
            "查询内容,值已隐去 What was asked, values left out" + (f" {few}" if len(shown) < len(found) else ""),
            ("时间 Time", "账号 Account", "语句 Statement", "用途 Purpose", "行 Rows"),
            tuple(
                (
                    one.at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M"),
                    one.actor,
                    outline(one.sql) if one.sql else "–",
                    one.purpose[:80] or "–",
                    "–" if one.rows is None else f"{one.rows:,}",
                )
                for one in shown
            ),
            widths=(1.6, 1.6, 4.6, 2.2, 1),
            numbers=frozenset({4}),
        )
    )
