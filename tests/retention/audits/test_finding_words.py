"""Every finding of an audit has its Chinese: each kind that the program can find, each figure that its detail names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retention.audits.document import Context, document
from retention.audits.finding_kinds import KINDS
from retention.audits.finding_words import both, in_chinese, kind_name
from retention.audits.report import AuditReport, Finding, Severity
from retention.printing.blocks import Grid
from retention.search import compare

ROOT = Path(__file__).parents[3]
ROOMS = ("retention/audits", "retention/search", "retention/transparency", "tickets/samples")
VARIABLE = {
    "many_rows", "at_night", "burst", "restricted_seen",  # by a variable in access.py, each tried below
    "rows_missing", "rows_surplus",
    "rows_changed", "rows_unproved", "key_unavailable", "object_unreadable", "segment_damaged",
}  # fmt: skip
CHOSEN = {"source_silent", "not_monitored", "offsets_unaccounted", "purge_waits", "request_overdue", "indexing_late",
          "not_sampled"}  # fmt: skip
"""Kinds whose detail takes one of a few wordings by a variable, each tried below."""
GENERAL = {"entry_missing", "custodian_stranger", "log_not_pinned", "shape_missing", "row_unlogged", "row_changed",
           "unread", "custodian_unreachable"}  # fmt: skip
"""Kinds whose detail quotes names that the Chinese leaves to the English beside it."""


def sample(node: ast.expr) -> str | None:
    """A detail with something in the place of each value; None of one that is made elsewhere."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [sample(part) for part in node.values]
        return None if None in parts else "".join(part or "" for part in parts)
    return "7" if isinstance(node, ast.FormattedValue) else None


def found() -> Iterator[tuple[str, str | None]]:
    """Kind and detail of every place that adds a finding or a fault of the log."""
    for room in ROOMS:
        for file in sorted((ROOT / room).glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                name = ast.unparse(node.func)
                place = 1 if name == "note" else 2
                adds = name in ("report.add", "verdict.add", "Finding", "LogFault", "note")
                if adds and len(node.args) > place and isinstance(node.args[0], ast.Constant):
                    yield str(node.args[0].value), sample(node.args[place])


def test_each_kind_that_can_be_found_has_its_chinese() -> None:
    kinds = {kind for kind, _ in found()}
    assert len(kinds) > 50
    searched = {compare.MISSING, compare.SURPLUS, compare.UNINDEXED, compare.DESTROYED, compare.ORPHANS,
                compare.ALTERED, compare.RESTRICTED}  # fmt: skip
    assert kinds | searched | VARIABLE <= set(KINDS)
    assert all(any("一" <= char <= "鿿" for char in known.name + known.says) for known in KINDS.values())


def test_each_detail_with_figures_is_said_with_them() -> None:
    lacking = [
        (kind, detail)
        for kind, detail in found()
        if detail and "7" in detail and kind not in GENERAL | CHOSEN and "7" not in in_chinese(kind, detail)
    ]
    assert lacking == []


@pytest.mark.parametrize(
    ("kind", "detail", "chinese"),
    [
        ("gap", "1,234 offsets were never committed.", "1,234 个偏移量从未入库。"),
        (
            "rows_missing",
            "The batch had 12 records, the segments hold 11 rows of it.",
            "批次有 12 条记录，封存段中有 11 行。",
        ),
        (
            "early",
            "It went on 2025-01-01; 电子商务法 第三十一条 kept it to 2026-01-01 at least.",
            "于 2025-01-01 销毁；依“电子商务法 第三十一条”，至少应保存至 2026-01-01。",
        ),
        (
            "late",
            "9 records of user_log 2024-01 2024-02 should have been gone by 2025-06-01; plan a purge.",
            "user_log 类 2024-01 2024-02 的 9 条记录应于 2025-06-01 前销毁；请制订销毁计划。",
        ),
        (
            "request_overdue",
            "deletion, due on 2026-01-01, is not answered.",
            "删除请求应于 2026-01-01 前答复，尚未答复。",
        ),
        (
            "many_rows",
            "2 results of up to 1,000,000 rows; half of its results have 10.",
            "2 个结果最多达 1,000,000 行；其半数结果不超过 10 行。",
        ),
        ("at_night", "3 of 4 queries between 0:00 and 6:00.", "4 次查询中有 3 次在 0:00 至 6:00 之间。"),
        ("entries_gap", "No object holds the entries 3 to 7.", "没有对象保存第 3 至 7 条。"),
        (
            "offsets_without_message",
            "3 offsets have no message: [1, 4). Compaction and the marks of transactions leave such; any other topic "
            "lost messages there.",
            "3 个偏移量没有消息：[1, 4)。压实与事务标记会留下此类空位；其他主题则为消息丢失。",
        ),
        # What no pattern knows, as another version worded it, is said by its kind.
        ("gap", "something else {0}", "有偏移量从未入库。"),
        ("no such kind", "x", ""),
    ],
)
def test_what_is_said(kind: str, detail: str, chinese: str) -> None:
    assert in_chinese(kind, detail) == chinese


def test_the_report_says_both_and_the_json_keeps_its_codes() -> None:
    report = AuditReport("coverage", datetime(2026, 1, 1, tzinfo=UTC))
    report.add("gap", "app:log 0-5", "5 offsets were never committed.")
    report.add(
        "time_gap", "source:app", "No record, while the source usually has some at these hours.", Severity.NOTICE
    )
    report.add("made up", "here", "something")
    grids = [block for block in document([report], Context("s", "a")).blocks if isinstance(block, Grid)]
    rows = [row for grid in grids for row in grid.rows]
    assert ("缺口\ngap", "app:log 0-5", "5 个偏移量从未入库。\n5 offsets were never committed.") in rows
    assert ("made up", "here", "something") in rows
    assert report.as_json()["findings"][0] == {  # type: ignore[index]
        "kind": "gap", "where": "app:log 0-5", "detail": "5 offsets were never committed.", "severity": "fault",
    }  # fmt: skip
    assert both(Finding("time_gap", "x", "y"))[0] == "时间缺口\ntime_gap"
    assert kind_name("made up") == "made up"
