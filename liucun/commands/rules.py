"""``liucun rules``: the keyword rules that run, their lint, their examples, lists from outside, and backtests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from liucun.commands._rules_backtest import backtest_command
from liucun.commands._rules_import import import_command

if TYPE_CHECKING:
    from detectors.keywords.layers import Layered

STATES = ("live", "shadow", "draft")
DEFAULT_RATE = 0.0005
"""``detectors.keywords.lint.HARMLESS_LIMIT``, repeated so that help needs no engine (a test compares them)."""

_paths = click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
_benign = click.option(
    "--benign",
    multiple=True,
    metavar="FILE[:COLUMN]",
    help="Harmless texts to measure on too: one a line, or a CSV's column. Repeatable.",
)
_max_rate = click.option(
    "--max-rate",
    type=click.FloatRange(0, 1),
    default=DEFAULT_RATE,
    show_default=True,
    metavar="SHARE",
    help="Share of harmless texts that a rule may hit.",
)


@click.group(name="rules", short_help="List, check, import and try out keyword rules.")
def command() -> None:
    """Keyword rules 关键词规则: packs that ship, and a store's own over them.

    A rule is live (opens tickets), shadow (counted only) or draft (never runs). See docs/rules.md.
    """


@command.command(name="list", short_help="Show the rules that run.")
@click.option("--state", type=click.Choice(STATES), help="Only rules that run in this state.")
@click.option("--category", metavar="NAME", help="Only rules of this category.")
@store_option
@json_option
def list_command(state: str | None, category: str | None, store: Path, as_json: bool) -> None:
    """Show every rule 规则清单: id, category, severity, the state it runs in, version and pack.

    Packs with faults are shown as far as they can be read; then the exit code is 3.
    """
    from detectors.keywords.layers import read_layers
    from detectors.keywords.packset import refuse_faulty
    from liucun.rule_layers import layers_at, today
    from liucun.rule_tables import print_rules, rule_json

    read = read_layers(layers_at(store), today())
    written = {rule.id: rule for rule in read.written}
    shown = [
        rule
        for rule in read.running.rules
        if (state is None or rule.state == state) and (category is None or rule.category == category)
    ]
    if as_json:
        packs = [{"pack": name, **meta} for name, meta in sorted(read.meta.items())]
        rules = [rule_json(rule, written[rule.id]) for rule in shown]
        print_json({"version": read.running.version, "rules": rules, "packs": packs})
    else:
        print_rules(shown, written, read.running.version)
        for name, meta in sorted(read.meta.items()):
            if meta:
                click.echo(f"{name}: " + ", ".join(f"{key} {value}" for key, value in meta.items()))
    for problem in read.problems:
        click.echo(f"liucun: {problem}", err=True)
    refuse_faulty(read.problems)


@command.command(name="lint", short_help="Look for faults in packs.")
@_paths
@_benign
@_max_rate
@store_option
@json_option
def lint_command(paths: tuple[Path, ...], benign: tuple[str, ...], max_rate: float, store: Path, as_json: bool) -> None:
    """Look for faults in packs 检查规则: each with file, line and cure.

    \b
    liucun rules lint                              all packs of the store
    liucun rules lint new.csv --benign reviews.csv:comment --max-rate 0.001

    Every rule, drafts too, is also run over harmless texts: some three thousand that ship, and those of --benign.
    One that hits more than --max-rate of a sample is refused (rules of weight under 0.5, which decide nothing
    alone: 2 %). Exit 1 when there is anything to cure.
    """
    from detectors.errors import PackLintError
    from detectors.keywords.harmless import samples
    from detectors.keywords.lint import lint_rules

    read = _read(paths, store)
    harmless = samples(benign)
    rules = list(read.written)
    problems = sorted({*read.problems, *lint_rules(rules, harmless, max_rate)}, key=lambda p: (p.file, p.line))
    if as_json:
        print_json(
            {
                "ok": not problems,
                "rules": len(rules),
                "harmless": {name: len(texts) for name, texts in harmless.items()},
                "max_rate": max_rate,
                "findings": [
                    {"file": p.file, "line": p.line, "what": p.what, "cure": p.cure, "fatal": p.fatal} for p in problems
                ],
            }
        )
    else:
        for problem in problems:
            click.echo(f"{problem.file}:{problem.line}: {problem.what}\n    {problem.cure}")
        texts = ", ".join(f"{len(texts):,} of {name}" for name, texts in harmless.items())
        click.echo(f"Rules: {len(rules):,}. Problems: {len(problems):,}. Harmless texts: {texts}.")
    if problems:
        raise PackLintError(f"Problems in the packs: {len(problems):,}.", cure="Cure what is named above.")


@command.command(name="test", short_help="Run every rule's examples.")
@_paths
@click.option("--rule", "only", metavar="ID", help="Only this rule.")
@store_option
@json_option
def test_command(paths: tuple[Path, ...], only: str | None, store: Path, as_json: bool) -> None:
    """Run every rule's examples 运行规则样例: each hit must be found by its rule, no miss may be.

    Drafts are run too. Exit 1 when one fails, or a pack cannot be read.
    """
    from detectors.errors import PackLintError
    from detectors.keywords.lint import run_examples

    read = _read(paths, store)
    rules = [rule for rule in read.written if only is None or rule.id == only]
    if only is not None and not rules:
        raise UsageError(f"There is no rule {only!r}.", cure="`liucun rules list` shows their ids.")
    ran = run_examples(rules)
    failed = [example for example in ran if not example.passed]
    silent = sum(1 for rule in rules if not rule.hits and not rule.misses)
    faults = [problem for problem in read.problems if problem.fatal]
    if as_json:
        entries = [
            {
                "rule": example.rule.id,
                "file": example.rule.file,
                "line": example.rule.line,
                "text": example.text,
                "must": "hit" if example.wanted else "miss",
            }
            for example in failed
        ]
        print_json(
            {
                "ok": not failed and not faults,
                "rules": len(rules),
                "without_examples": silent,
                "examples": len(ran),
                "failed": entries,
            }
        )
    else:
        for example in failed:
            said = "is not hit, but must be" if example.wanted else "is hit, but must not be"
            click.echo(f"{example.rule.file}:{example.rule.line}: {example.rule.id}: {example.text!r} {said}")
        click.echo(f"{len(rules):,} rules, {len(ran):,} examples, {len(failed):,} failed; {silent:,} rules have none.")
    for fault in faults:
        click.echo(f"liucun: {fault}", err=True)
    if failed or faults:
        raise PackLintError(
            f"{len(failed):,} examples failed, {len(faults):,} faults keep packs from loading.",
            cure="Correct the words or the examples; `liucun rules lint` names every fault.",
        )


command.add_command(backtest_command)
command.add_command(import_command)


def _read(paths: tuple[Path, ...], store: Path) -> Layered:
    """The packs that are named, else all of the store."""
    from detectors.keywords.layers import Layers, read_layers
    from liucun.rule_layers import layers_at

    return read_layers(Layers(paths) if paths else layers_at(store))
