"""``liucun rules import``: a public word list becomes a pack of drafts."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import click

from errors import UsageError
from liucun.cli import json_option, parse_pairs, print_json, store_option

MAX_LISTED = 1000
"""Refused words that JSON lists."""
SHOWN = 10


@click.command(name="import", short_help="Make a pack of drafts from a word list.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--category", metavar="NAME", help="Category of words whose list names none.")
@click.option(
    "--map-category", "mapping", multiple=True, metavar="NAME=CATEGORY", help="What the list calls a category."
)
@click.option("--format", "form", type=click.Choice(["words", "table", "base64", "json"]), help="[default: told by it]")
@click.option("--source", metavar="TEXT", help="Where the list comes from, e.g. its address. [default: its file name]")
@click.option("--license", "licence", metavar="TEXT", help="Terms under which it may be used.")
@click.option("--author", metavar="NAME", help="Who answers for it. [default: who runs the command]")
@click.option(
    "--weight", type=click.FloatRange(0, 1), default=0.9, show_default=True, help="Weight of words that have none."
)
@click.option("--severity", type=click.IntRange(1, 4), default=2, show_default=True, help="Severity of the rules.")
@click.option("--benign", multiple=True, metavar="FILE[:COLUMN]", help="Harmless texts to measure on too. Repeatable.")
@click.option(
    "--max-rate",
    type=click.FloatRange(0, 1),
    default=0.0005,
    show_default=True,
    metavar="SHARE",
    help="Share of harmless texts that a word may hit.",
)
@click.option("--out", type=click.Path(path_type=Path), help="New pack. [default: rules/NAME.csv in the store]")
@store_option
@json_option
def import_command(
    file: Path,
    category: str | None,
    mapping: tuple[str, ...],
    form: str | None,
    source: str | None,
    licence: str | None,
    author: str | None,
    weight: float,
    severity: int,
    benign: tuple[str, ...],
    max_rate: float,
    out: Path | None,
    store: Path,
    as_json: bool,
) -> None:
    """Make a pack of drafts from a word list 导入词表. A draft never runs: try it, then set its rules live.

    \b
    liucun rules import list.txt --category gambling --source https://example.org/list
    liucun rules import words.json --map-category 涉黄=pornography --benign reviews.csv:comment

    Lists: one word a line; word and category, word and weight (tab, comma); base64 lines; JSON lists and
    objects. UTF-8, UTF-16 or GB18030. Words that harmless texts hold too often, that say nothing alone, that a
    rule of the store has, or that have no category are refused, counted and listed. Where the list came from,
    its digest, the day and the author stand at the pack's head.
    """
    from detectors.errors import PackLintError
    from detectors.keywords.harmless import samples
    from detectors.keywords.importing import Wishes, import_words
    from detectors.keywords.layers import read_layers
    from detectors.keywords.packwrite import pack_text
    from detectors.keywords.wordlists import read_list
    from liucun.rule_layers import layers_at, today
    from liucun.rule_write import read_list_file, refuse_category, write_new
    from liucun.settings import FILE_NAME
    from liucun.store import local_user

    names = parse_pairs(mapping, "--map-category")
    for name in [*names.values(), *([category] if category else [])]:
        refuse_category(name)
    stem = re.sub(r"[^0-9a-z]+", "_", file.name.split(".")[0].lower()).strip("_") or "list"
    if out is None:
        if not (store / FILE_NAME).exists():
            raise UsageError(f"There is no store at {store} to put the pack in.", cure="Name the new pack: --out FILE.")
        out = store / "rules" / f"{stem}.csv"
    if out.exists():
        raise UsageError(f"{out} exists already.", cure="Name a file that does not exist yet: --out FILE.")
    data = read_list_file(file)
    listed = read_list(data, file.name, form)
    known = read_layers(layers_at(store)).written
    wishes = Wishes(
        prefix=f"import.{stem}",
        category=category,
        names=names,
        weight=weight,
        severity=severity,
        author=author or local_user(),
        since=today().isoformat(),
    )
    made = import_words(listed.entries, wishes, known=known, harmless=samples(benign), limit=max_rate)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    meta = {
        "source": source or file.name,
        "digest": digest,
        "imported": wishes.since,
        "author": wishes.author,
        **({"license": licence} if licence else {}),
        "format": f"{listed.form}, {listed.encoding}",
        "words": f"{len(listed.entries)} read, {len(made.rules)} kept",
    }
    if made.rules:
        write_new(out, pack_text(made.rules, meta))
    reasons = Counter(word.why for word in made.refused)
    if as_json:
        refused = [
            {"line": word.line, "word": word.word[:200], "why": word.why, "detail": word.detail}
            for word in made.refused[:MAX_LISTED]
        ]
        print_json(
            {
                "pack": str(out) if made.rules else None,
                "words": len(listed.entries),
                "rules": len(made.rules),
                "categories": dict(Counter(rule.category for rule in made.rules)),
                "refused": dict(reasons),
                "refused_words": refused,
                "provenance": meta,
            }
        )
    else:
        for word in made.refused[:SHOWN]:
            detail = f" ({word.detail})" if word.detail else ""
            click.echo(f"{file.name}:{word.line}: {word.word[:40]!r} left out: {WHY[word.why]}{detail}")
        if len(made.refused) > SHOWN:
            click.echo(f"… and {len(made.refused) - SHOWN:,} more; --json lists them.")
        for why, count in reasons.most_common():
            click.echo(f"{count:>9,}  left out: {WHY[why]}")
        click.echo(
            f"{len(made.rules):>9,}  drafts of {len(listed.entries):,} words" + (f" in {out}" if made.rules else "")
        )
    if not made.rules:
        raise PackLintError(
            "No word of the list is worth a rule; no pack was written.",
            cure="Name the words' category with --category or --map-category, or look at what was left out.",
        )


WHY = {
    "category": "its category is unknown (--category, --map-category) 类别不明",
    "nothing left": "nothing is left of it when normalised 归一化后为空",
    "one character": "one character alone 单字",
    "too long": "too long 过长",
    "signs": "it holds |, begins with @, or is not printable 含特殊符号",
    "there already": "it is there already 已有",
    "harmless text": "harmless texts hold it too often 误伤率过高",
}
