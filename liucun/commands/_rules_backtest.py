"""``liucun rules backtest``: what rules would have found in the sealed archive."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from liucun.times import read_time
from tickets.rights import Right


@click.command(name="backtest", short_help="Try rules on a span of the archive.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--since", required=True, metavar="TIME", help="Event times from here on.")
@click.option("--until", metavar="TIME", help="Event times before this. [default: now]")
@click.option(
    "--class", "record_class", default="content", show_default=True, metavar="CLASS", help="Record class to read."
)
@click.option("--field", default="text", show_default=True, metavar="NAME", help="Published field to scan.")
@click.option("--published", is_flag=True, help="Read sources too of which nobody has declared whether it is public.")
@click.option("--purpose", required=True, metavar="TEXT", help="What it is for; recorded, sealed, with the query.")
@click.option("--rule", "only", metavar="ID", help="Show only this rule.")
@click.option(
    "--examples", type=click.IntRange(0, 100), default=3, show_default=True, help="Masked examples of each rule."
)
@store_option
@json_option
def backtest_command(
    paths: tuple[Path, ...],
    since: str,
    until: str | None,
    record_class: str,
    field: str,
    published: bool,
    purpose: str,
    only: str | None,
    examples: int,
    store: Path,
    as_json: bool,
) -> None:
    """Show what rules would have found in a span of the archive 规则回测, beside what today's rules find there.

    \b
    liucun rules backtest new.csv --since 2026-11-01 --purpose "new fraud rules"
    liucun rules backtest --since 2026-11-01 --until 2026-11-08 --purpose "are the shadow rules ready?"

    With PATHS these packs are laid over the store's and all their rules run; without, the store's own with every
    draft and shadow rule running. Only text declared public is read, accounts under restriction are left out, and
    every read is recorded as a query. The console's page of rules shows what was counted. Nothing is opened or changed.
    """
    from detectors.keywords.backtest import Backtest
    from liucun.rule_backtest import Span, public_sources, record, run_backtest
    from liucun.rule_layers import candidate_of, layers_of, today
    from liucun.rule_tables import print_backtest
    from liucun.store import open_store
    from retention.schema import RecordClass

    if record_class not in RecordClass.__members__.values():
        raise UsageError(f"There is no class {record_class!r}.", cure=f"Use one of {', '.join(RecordClass)}.")
    chosen = RecordClass(record_class)
    begin, end = read_time(since), read_time(until) if until else datetime.now(UTC)
    if begin >= end:
        raise UsageError("The span is empty: --since is not before --until.", cure="Give an earlier --since.")
    with open_store(store, Right.RULES_WORK) as opened:
        packs = candidate_of(layers_of(opened.root, opened.settings.detect), paths, today())
        if only is not None and only not in packs.written:
            raise UsageError(f"There is no rule {only!r}.", cure="`liucun rules list` shows their ids.")
        sources, hidden = public_sources(opened.settings, chosen, field, published=published)
        test = Backtest(packs.candidate, packs.today, packs.written, examples)
        span = Span(chosen, field, begin, end, sources, hidden)
        queries = run_backtest(opened, test, span, purpose=purpose, progress=_progress if sys.stderr.isatty() else None)
        record(opened, test, span, queries)
    found = [one for one in test.rules() if only is None or one.rule.id == only]
    if as_json:
        print_json(
            {
                "since": begin.isoformat(),
                "until": end.isoformat(),
                "class": chosen.value,
                "field": field,
                "sources": "all but those declared not public" if sources is None else list(sources),
                "candidate_version": packs.candidate.version,
                "today_version": packs.today.version,
                **test.totals.as_json(),
                "rules": [one.as_json() for one in found],
                "queries": queries,
            }
        )
    else:
        told = [one for one in found if only or one.rule.id in packs.tried or one.candidate != one.today]
        print_backtest(told, test.totals, packs.candidate.version, packs.today.version)
        if len(told) < len(found):
            click.echo(f"{len(found) - len(told):,} other rules find what they find today. 其余规则命中不变。")
        click.echo(f"Recorded as query {', '.join(queries)}.", err=True)


def _progress(texts: int) -> None:
    click.echo(f"\r{texts:,} texts 已回测", nl=False, err=True)
