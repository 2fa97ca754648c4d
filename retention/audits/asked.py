"""What was asked: the statements of queries without the values in them, which may name persons."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb

from retention.audits.report import AuditReport, Table
from retention.policies.periods import SHANGHAI
from retention.schema import RECORD_SCHEMA

MOST_ASKED: Final = 200
"""Rows of queries that a report lists, the newest; all of them are counted by account."""
LONGEST: Final = 300
LONGEST_PURPOSE: Final = 120
LEFT_OUT: Final = "…"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COLUMNS: Final = frozenset(RECORD_SCHEMA.names)
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
    """A statement with texts, long numbers, quoted names that are no columns' names, and comments left out."""
    found = " ".join(_parts(sql))
    return found if len(found) <= LONGEST else f"{found[: LONGEST - 1]}{LEFT_OUT}"


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
            or (name == "identifier" and (_NAME.fullmatch(text) or text.strip('"') in _COLUMNS))
            or (name == "numeric_const" and _SHORT_NUMBER.fullmatch(text))
        )
        yield text if plain else LEFT_OUT


def show_asked(report: AuditReport, queries: Iterable[Asked]) -> None:
    """List the newest queries: who asked what, why, how many rows. What an account asked several times for one purpose
    stands in one row, with the first and the last time."""
    found: dict[tuple[str, str, str], list[Asked]] = {}
    count = 0
    for one in sorted(queries, key=lambda query: query.at, reverse=True):
        found.setdefault((one.actor, outline(one.sql) if one.sql else "–", _purpose(one.purpose)), []).append(one)
        count += 1
    shown = list(found.items())[:MOST_ASKED]
    listed = sum(len(those) for _, those in shown)
    few = f"(最近 {listed:,} 次,共 {count:,} 次 the newest {listed:,} of {count:,})" if listed < count else ""
    report.tables.append(
        Table(
            "asked",
            f"查询内容,值已隐去 What was asked, values left out {few}".rstrip(),
            ("时间 Time", "账号 Account", "语句 Statement", "用途 Purpose", "次数 Times", "行 Rows"),
            tuple(
                (_times(those), actor, statement, purpose, f"{len(those):,}", _rows(those))
                for (actor, statement, purpose), those in shown
            ),
            widths=(1.75, 1.7, 3.7, 2.6, 1, 1.2),
            numbers=frozenset({4, 5}),
        )
    )


def _purpose(purpose: str) -> str:
    if not purpose:
        return "未写明 none stated"
    return purpose if len(purpose) <= LONGEST_PURPOSE else f"{purpose[:LONGEST_PURPOSE]}{LEFT_OUT}"


def _times(those: Sequence[Asked]) -> str:
    """When, the newest first; of several the first and the last time."""
    last, first = (one.at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M") for one in (those[0], those[-1]))
    return last if first == last else f"{first}\n至 to {last}"


def _rows(those: Sequence[Asked]) -> str:
    """Rows of all the answers together; what was not answered says so."""
    answered = [one.rows for one in those if one.rows is not None]
    lost = len(those) - len(answered)
    said = [f"{sum(answered):,}"] if answered else []
    return "\n".join([*said, *([f"未成功 {lost:,}\nfailed"] if lost else [])])
