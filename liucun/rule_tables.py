"""Rules and what they found, as tables for a person and as values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from detectors.keywords.backtest import Found, Totals
from detectors.keywords.rules import Rule

CHINESE = {"live": "启用", "shadow": "试运行", "draft": "草稿"}


def rule_json(rule: Rule, written: Rule) -> dict[str, object]:
    """A rule as it runs; ``written_state`` is what its pack says, before switches and dates."""
    return {
        "rule": rule.id,
        "category": rule.category,
        "subtype": rule.subtype or None,
        "severity": rule.severity,
        "weight": rule.weight,
        "state": rule.state.value,
        "written_state": written.state.value,
        "version": written.version,
        "pack": rule.file,
        "line": rule.line,
        "words": len(rule.words),
        "basis": rule.basis or None,
        "author": rule.author or None,
        "since": rule.since or None,
        "until": rule.until or None,
    }


def print_rules(rules: Sequence[Rule], written: Mapping[str, Rule], version: str) -> None:
    """Print a table of rules."""
    table = Table(title=f"{len(rules):,} rules 规则 ({version})", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("rule", "category", "severity", "state", "version", "pack"):
        table.add_column(name, no_wrap=True, justify="right" if name == "severity" else "left")
    for rule in rules:
        state = f"{rule.state} {CHINESE[rule.state]}"
        if rule.state is not written[rule.id].state:
            state += f" (written 原为 {written[rule.id].state})"
        category = f"{rule.category}/{rule.subtype}" if rule.subtype else rule.category
        table.add_row(rule.id, category, str(rule.severity), state, rule.version, f"{rule.file}:{rule.line}")
    wide(table)


def print_backtest(found: Sequence[Found], totals: Totals, candidate: str, today: str) -> None:
    """Print what a backtest found: totals, then rules, then examples."""
    said = totals.as_json()
    table = Table(title="Backtest 回测", title_justify="left", box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, key in (
        ("texts read 回测文本", "texts"),
        (f"found by the candidate 待测规则命中 ({candidate})", "candidate"),
        (f"found by today's rules 现行规则命中 ({today})", "today"),
        ("only by the candidate 仅待测命中", "only_candidate"),
        ("only by today's 仅现行命中", "only_today"),
    ):
        table.add_row(name, f"{said[key]:,}")
    wide(table)
    rules = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("rule", "category", "state", "candidate", "today", "new"):
        rules.add_column(name, no_wrap=True, justify="right" if name in ("candidate", "today", "new") else "left")
    for one in found:
        rules.add_row(
            one.rule.id,
            one.rule.category,
            one.rule.state.value,
            f"{one.candidate:,}",
            f"{one.today:,}",
            f"{one.new:,}",
        )
    if found:
        wide(rules)
    for one in found:
        for example in one.examples:
            Console(highlight=False, markup=False, soft_wrap=True).print(f"{one.rule.id}: {example}")


def wide(table: Table) -> None:
    """Print a table in its own width: ids must not be cut."""
    console = Console(highlight=False, markup=False, width=2000)
    console.width = console.measure(table).maximum
    console.print(table)
