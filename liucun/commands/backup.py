"""``liucun backup``: copy the store to a folder, without its keys; or the keys alone."""

from __future__ import annotations

from pathlib import Path

import click

from errors import UsageError
from liucun.cli import json_option, print_json, store_option
from tickets.rights import Right

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(name="backup", short_help="Copy the store to a folder, without its keys.")
@store_option
@click.option(
    "--to", "folder", type=_FOLDER, required=True, help="The backup's folder; run again, it takes over what is new."
)
@click.option("--keys", is_flag=True, help="Copy the keys, and nothing else, to an empty folder.")
@json_option
def command(store: Path, folder: Path, keys: bool, as_json: bool) -> None:
    """Copy the store to a folder, without its keys 备份.

    Objects never change, so only new ones are copied. The keys are copied by themselves, with
    --keys, to another place: nobody who has one of the two can read anything. A copy of the keys
    must be deleted within 30 days, since destroyed keys live on in it.
    """
    if folder.resolve().is_relative_to(store.resolve()):
        raise UsageError("A backup inside the store is none.", cure="Name a folder elsewhere, best on another disk.")
    if keys:
        _keys(store, folder, as_json)
    else:
        _data(store, folder, as_json)


def _data(store: Path, folder: Path, as_json: bool) -> None:
    from liucun.audit_progress import progress
    from liucun.settings import FILE_NAME
    from liucun.store import open_store
    from retention.backups import back_up
    from retention.catalogue import events

    with open_store(store, Right.ARCHIVE_OPERATE) as opened:
        opened.store.log.keep()
        with progress(quiet=as_json) as show:
            made = back_up(
                catalogue=opened.catalogue,
                objects=opened.objects,
                settings_file=store / FILE_NAME,
                folder=folder,
                progress=show,
            )
        with opened.catalogue.write() as connection:
            events.append(
                connection,
                kind="store.backed_up",
                actor=opened.actor,
                subject="backup",
                body={"objects": made.objects_copied + made.objects_there, "log_entries": made.log_entries},
            )
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "objects_copied": made.objects_copied,
                "objects_there": made.objects_there,
                "bytes": made.bytes_copied,
                "log_entries": made.log_entries,
                "catalogue": made.catalogue,
            }
        )
        return
    click.echo(f"Copied {made.objects_copied:,} objects ({made.bytes_copied:,} bytes) to {folder} 已备份;")
    click.echo(f"  {made.objects_there:,} were there already. Log entries: {made.log_entries:,}.")
    if not made.catalogue:
        click.echo("The catalogue's database is backed up by its server's own means (pg_dump).")
    click.echo("The keys are not in it: `liucun backup --keys --to` another place.")


def _keys(store: Path, folder: Path, as_json: bool) -> None:
    from liucun.store import open_store
    from retention.backups import back_up_keys
    from retention.catalogue import events

    with open_store(store, Right.ARCHIVE_OPERATE) as opened:
        settings = opened.settings.keys
        parts = [path for path in sorted((store / settings.keyring).parent.glob("*")) if path.is_file()]
        names = [
            str(path.relative_to(store)) for path in parts if not path.name.startswith(Path(settings.periods).name)
        ]
        until = back_up_keys(
            root=store,
            files=names,
            periods=opened.period_keys.database,
            periods_file=settings.periods,
            folder=folder,
        )
        with opened.catalogue.write() as connection:
            events.append(
                connection,
                kind="keys.backed_up",
                actor=opened.actor,
                subject="keys",
                body={"folder": str(folder.resolve()), "delete_by": until.isoformat()},
            )
    if as_json:
        print_json({"folder": str(folder), "files": len(names) + 1, "delete_by": until.isoformat()})
        return
    click.echo(f"Copied the keys to {folder} 已备份密钥. Delete this copy by {until:%Y-%m-%d}.")
