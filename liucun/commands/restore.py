"""``liucun restore``: a store from a backup and the keys."""

from __future__ import annotations

from pathlib import Path

import click

from liucun.cli import json_option, print_json, store_option

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(name="restore", short_help="Make a store from a backup and the keys.")
@store_option
@click.option("--from", "folder", type=_FOLDER, required=True, help="The folder of a backup.")
@click.option("--keys", type=_FOLDER, required=True, help="The folder with the copy of the keys.")
@json_option
def command(store: Path, folder: Path, keys: Path, as_json: bool) -> None:
    """Make a store from a backup and the keys 恢复.

    --store must not exist yet. What the backup holds is opened and its log verified; a custodian
    who has seen more of the log than the backup holds is told of, since that part is lost.
    """
    from errors import IntegrityError, UsageError
    from liucun.audit_progress import progress
    from liucun.passphrase import passphrase
    from liucun.settings import FILE_NAME, read_settings
    from liucun.store import prepare_tables
    from retention.backups import KEY_DESCRIPTION, describe, restore
    from retention.store import Store
    from retention.transparency.verify import verify_log

    describe(folder)
    settings = read_settings(folder)
    if not keys.is_dir():
        raise UsageError(f"There is no folder {keys}.", cure="Name the folder of `liucun backup --keys`.")
    place = Path(settings.keys.periods).parent
    files = [(path, str(place / path.name)) for path in sorted(keys.iterdir()) if path.name != KEY_DESCRIPTION]
    secret = passphrase()
    with progress(quiet=as_json) as show:
        description = restore(
            folder=folder,
            root=store,
            keys=files,
            objects=settings.archive.objects,
            catalogue=settings.archive.catalogue,
            progress=show,
        )
    opened = Store.open(store, read_settings(store).store, secret)
    try:
        prepare_tables(opened.catalogue)
        verdict = verify_log(opened.log, objects=False)
        lost = max(verdict.witnessed - verdict.size, 0)
    finally:
        opened.close()
    faults = [fault for fault in verdict.faults if fault.kind != "log_rolled_back"]
    if as_json:
        print_json(
            {
                "store": str(store),
                "at": description["at"],
                "log_entries": verdict.size,
                "lost_entries": lost,
                "faults": [{"kind": f.kind, "where": f.where, "detail": f.detail} for f in faults],
            }
        )
    else:
        click.echo(f"Restored {store} from the backup of {description['at']} 已恢复: {verdict.size:,} log entries.")
        if lost:
            click.echo(f"The custodian has seen {lost:,} more: what they stand for is not in this backup.")
            click.echo("  If newer objects survive, put them in place and run `liucun catalogue rebuild`.")
        click.echo(f"Next: liucun audit all --store {store}")
    if faults:
        raise IntegrityError(
            f"The restored log has {len(faults)} faults, the first: {faults[0].detail}",
            cure=f"Run `liucun audit integrity`, and compare with {FILE_NAME} and another backup.",
        )
