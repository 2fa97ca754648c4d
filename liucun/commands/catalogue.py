"""``liucun catalogue``: look after the catalogue."""

from __future__ import annotations

from pathlib import Path

import click

from liucun.cli import json_option, print_json, store_option


@click.group(name="catalogue", short_help="Rebuild the catalogue from the objects.")
def command() -> None:
    """Look after the catalogue 目录库.

    The objects are the truth; the catalogue can be made again from them and the keys.
    """


@command.command(short_help="Make the catalogue again from the objects and the keys.")
@store_option
@json_option
def rebuild(store: Path, as_json: bool) -> None:
    """Make the catalogue again from the objects and the keys 由对象重建目录库.

    Restores segments, cursors, batches, events, tickets and whatever else is in the
    transparency log, and compares the result with the log's signed state. The catalogue
    file that is there is kept aside. Stop every `liucun run` and `liucun serve` before.
    """
    from liucun.audit_progress import progress
    from liucun.passphrase import passphrase
    from liucun.settings import read_settings
    from liucun.store import ANYBODY, local_user, open_store, prepare_tables
    from retention.rebuilding.rebuild import rebuild_catalogue

    settings = read_settings(store)
    secret = passphrase()
    with progress(quiet=as_json) as show:
        rebuilt = rebuild_catalogue(
            store, settings.store, secret, prepare=prepare_tables, actor=local_user(), progress=show
        )
    with open_store(store, ANYBODY):
        pass  # compares the log with the custodian's checkpoints
    restored = rebuilt.restored
    if as_json:
        print_json(
            {
                "log_entries": rebuilt.log_size,
                "waiting": rebuilt.waiting,
                "segments": restored.segments,
                "batches": restored.batches,
                "events": restored.events,
                "rows": restored.rows,
                "kept_aside": rebuilt.kept_aside,
            }
        )
        return
    click.echo(f"Rebuilt the catalogue from {rebuilt.log_size:,} log entries 已重建目录库:")
    click.echo(
        f"  segments 封存段 {restored.segments:,}, batches 批次 {restored.batches:,}, events {restored.events:,}"
    )
    for table, count in restored.rows.items():
        click.echo(f"  {table}: {count:,}")
    if rebuilt.waiting:
        click.echo(f"  {rebuilt.waiting:,} entries that no checkpoint covered were numbered again.")
    if rebuilt.kept_aside:
        click.echo(f"The old catalogue is kept as {rebuilt.kept_aside}.")
    click.echo("Next: liucun audit all")
