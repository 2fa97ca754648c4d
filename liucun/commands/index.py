"""``liucun index``: the search index that follows the archive."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right

if TYPE_CHECKING:
    from retention.search.compare import Comparison

SHOWN = 50
"""Findings that the terminal shows; --json holds all."""
PATIENCE = 120.0
"""Seconds to wait for a follower that is at work in the worker or a run."""


@click.group(name="index", short_help="The search index: compare it with the archive, or build it anew.")
def command() -> None:
    """Follow the archive into Elasticsearch 检索索引.

    `liucun worker` and `liucun run` keep the index up to date by themselves. These commands prove
    that it agrees with the archive, and mend or rebuild it.
    """


@command.command(short_help="Compare the index with the archive and mend it.")
@store_option
@click.option("--dry-run", is_flag=True, help="Compare only; exit 1 when something differs.")
@click.option("--contents", is_flag=True, help="Compare every document with its record, not only how many there are.")
@json_option
def reconcile(store: Path, dry_run: bool, contents: bool, as_json: bool) -> None:
    """Compare every segment's documents with its records 核对, and mend what differs.

    Finds documents that are missing or too many, segments that were passed over, documents of
    destroyed segments and of restricted accounts; with --contents, documents that somebody altered.
    Exit code 1: something differs and was not mended.
    """
    from liucun.index_following import following
    from liucun.store import open_store
    from retention.search.compare import reconcile as compare

    with open_store(store, Right.ARCHIVE_OPERATE) as opened:
        opened.store.log.keep()
        with following(opened, wait=PATIENCE) as follower:
            done = compare(follower, mend=not dry_run, contents=contents)
    if as_json:
        print_json(done.as_json())
    else:
        _print(done)
    if not done.ok:
        sys.exit(1)


@command.command(short_help="Delete this store's indices and write them anew.")
@store_option
@json_option
def rebuild(store: Path, as_json: bool) -> None:
    """Delete this store's indices and data streams and write them anew from the archive 重建.

    Needed after a change of [search] that changes documents, or of the cluster. Searches find only
    what has been written so far until it is done. Interrupted, the worker goes on from there.
    """
    from liucun.index_following import following
    from liucun.store import open_store
    from retention.search.rebuilding import rebuild as build

    with open_store(store, Right.ARCHIVE_OPERATE) as opened:
        opened.store.log.keep()
        with following(opened, wait=PATIENCE) as follower:
            done = build(follower)
    if as_json:
        print_json(done.as_json())
    else:
        click.echo(f"rebuilt 已重建: {done.segments:,} segments, {done.documents:,} documents")


def _print(done: Comparison) -> None:
    click.echo(
        f"compared 已核对: {done.segments:,} segments 封存段, {done.documents:,} documents 文档, "
        f"{done.waiting:,} segments not indexed yet 待索引"
    )
    for finding in done.findings[:SHOWN]:
        click.echo(f"  {finding.kind} {finding.where}: {finding.detail}")
    if len(done.findings) > SHOWN:
        click.echo(f"  … and {len(done.findings) - SHOWN} more; --json shows all.")
    if done.findings:
        click.echo(f"mended 已修正: {done.mended} of {len(done.findings)}")
    else:
        click.echo("index and archive agree 索引与留存库一致")
