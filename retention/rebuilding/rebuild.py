"""``rebuild``: a new catalogue from the objects and the keys, compared with the log's signed state before use."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from errors import BusyError, IntegrityError, LiucunError, StorageError, UsageError
from retention.catalogue import events, images
from retention.catalogue.engine import Catalogue
from retention.catalogue.journal import cut_journal
from retention.catalogue.tables import events as event_table
from retention.catalogue.tables import log_pending, segments
from retention.keys.opening import Secret
from retention.places import is_url
from retention.rebuilding.chain import Chain, Reader
from retention.rebuilding.restore import Restored, Restorer
from retention.store import Store, StoreSettings

BUILDING = ".rebuilding"
ASIDE = ".before-"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came back. ``kept_aside`` is the old catalogue file, None when there was none."""

    restored: Restored
    log_size: int
    waiting: int
    kept_aside: str | None


Progress = Callable[[str, int, int], None]


def rebuild_catalogue(
    root: Path,
    settings: StoreSettings,
    passphrase: str | Secret,
    *,
    prepare: Callable[[Catalogue], None],
    actor: str,
    progress: Progress,
) -> Rebuilt:
    """Rebuild the catalogue of the store at ``root`` from its objects.

    A catalogue file that is there is kept aside, untouched, once the new one stands. On a server the database that
    the settings name must be empty. ``prepare`` makes the tables of the rooms above.

    Raises:
        UsageError: the database on the server is not empty, or there is nothing to rebuild from.
        IntegrityError: the objects contradict the log's signed state; nothing was changed.
        KeyAccessError, StorageError: keys or objects cannot be read; nothing was changed.
    """
    where = settings.archive.catalogue
    if is_url(where):
        with Store.open(root, settings, passphrase) as store:
            prepare(store.catalogue)
            _refuse_used(store.catalogue)
            return _fill(store, actor, progress, aside=None)
    target = root / where
    building = target.with_name(target.name + BUILDING)
    _remove(building)
    building.touch()
    temporary = settings.model_copy(
        update={
            "archive": settings.archive.model_copy(update={"catalogue": f"{where}{BUILDING}"}),
            # The custodian is asked once the catalogue is in its place.
            "custodian": settings.custodian.model_copy(update={"checkpoints": ""}),
        }
    )
    try:
        store = Store.open(root, temporary, passphrase)
        try:
            prepare(store.catalogue)
            aside = f"{target.name}{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S}" if target.exists() else None
            rebuilt = _fill(store, actor, progress, aside=aside)
            store.log.keep()
            if not cut_journal(store.catalogue):
                raise BusyError("The new catalogue is being read by somebody.", cure="Try again.")
        finally:
            store.close()
        _swap(building, target, aside)
    finally:
        _remove(building)
    return rebuilt


def _fill(store: Store, actor: str, progress: Progress, *, aside: str | None) -> Rebuilt:
    verifiers = store.log.verifiers
    if not verifiers:
        raise UsageError(
            "The store's keys know of no transparency log.",
            cure="Restore the store of period keys from its newest backup, then try again.",
        )
    reader = Reader(store.objects, store.period_keys, store.archive.suite, verifiers)
    chain = reader.find()
    if chain.newest is None and not chain.beyond:
        raise UsageError("There is no log among the objects to rebuild from.", cure="Check [archive] objects.")
    with store.catalogue.write() as connection:
        _begin(connection)
        restorer = Restorer(connection, store.archive.suite)
        for number, name in enumerate(chain.objects, 1):
            restorer.numbered(name, reader.entries(name))
            progress("log objects", number, len(chain.objects))
        waiting = _waiting(reader, restorer, chain)
        restorer.finish(chain.checkpoints)
        if chain.newest is not None and restorer.root() != chain.newest.checkpoint.root:
            raise IntegrityError(
                "The rebuilt log does not have the root of its newest checkpoint.",
                cure="The objects changed while they were read. Nothing was changed: stop other writers, try again.",
            )
        restored = restorer.restored
        size = 0 if chain.newest is None else chain.newest.checkpoint.size
        events.append(
            connection,
            kind="catalogue.rebuilt",
            actor=actor,
            subject="catalogue",
            body={
                "entries": size,
                "segments": restored.segments,
                "batches": restored.batches,
                "events": restored.events,
                "rows": restored.rows,
                "waiting": waiting,
                "kept_aside": aside,
            },
        )
    return Rebuilt(restored, size, waiting, aside)


def _begin(connection: sa.Connection) -> None:
    """An empty catalogue: what preparing the tables wrote is in the log, or comes again."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    for item in reversed(images.present(connection)):
        connection.execute(item.table.delete())
    connection.execute(event_table.delete())
    connection.execute(log_pending.delete())


def _waiting(reader: Reader, restorer: Restorer, chain: Chain) -> int:
    """Entries past the newest checkpoint, from objects of sequencers that were cut off; each once."""
    before = restorer.restored.entries
    for name in chain.beyond:
        try:
            entries = reader.entries(name)
        except LiucunError:
            continue  # torn by the crash that left it: no state covers it
        restorer.waiting(entries)
    return restorer.restored.entries - before


def _refuse_used(catalogue: Catalogue) -> None:
    with catalogue.read() as connection:
        used = connection.execute(sa.select(segments.c.segment_id).limit(1)).first()
    if used is not None:
        raise UsageError(
            "The database that [archive] catalogue names is not empty.",
            cure="Make a fresh database, name it in liucun.toml, and try again; keep the old one.",
        )


def _swap(building: Path, target: Path, aside: str | None) -> None:
    """Put the new file in the old one's place; the old one, with its journal, is kept."""
    try:
        if aside is not None:
            for suffix in ("-wal", "-shm", ""):
                old = target.with_name(target.name + suffix)
                if old.exists():
                    old.rename(target.with_name(aside + suffix))
        building.rename(target)
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(
            f"The rebuilt catalogue could not be put in place: {error.strerror}.",
            cure=f"Rename {building.name} to {target.name} by hand.",
        ) from error


def _remove(building: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        building.with_name(building.name + suffix).unlink(missing_ok=True)
