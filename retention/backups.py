"""Backup and restore: objects, catalogue and settings in a folder, never the keys.

A backup is a copy that can be made again and again: objects never change, so only new ones are copied. Its
catalogue is a snapshot taken before the objects are listed, so it never names an object that is not copied.
Without the keys nothing of it can be read; what a destroyed period key sealed, never again.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from errors import IntegrityError, StorageError, UsageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import checkpoints, log_entries, retired_segments, segments
from retention.objects.base import ObjectStore
from retention.objects.local import LocalObjects
from retention.places import is_url

DESCRIPTION: Final = "backup.json"
CATALOGUE: Final = "catalogue.db"
OBJECTS: Final = "objects"
KEY_DESCRIPTION: Final = "keys-backup.json"
KEY_DAYS: Final = 30
FORMAT: Final = 1

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup holds now; ``catalogue`` is False where a database server keeps it (back that up there)."""

    objects_copied: int
    objects_there: int
    bytes_copied: int
    log_entries: int
    catalogue: bool


def back_up(
    *,
    catalogue: Catalogue,
    objects: ObjectStore,
    settings_file: Path,
    folder: Path,
    progress: Progress,
) -> BackedUp:
    """Bring the backup in ``folder`` up to date.

    Raises:
        UsageError: the folder holds something else.
        StorageError: it cannot be written, or an object is missing; what was copied stays and is not copied again.
        IntegrityError: an object in the backup is not the store's.
    """
    _check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = _snapshot(catalogue, folder)
        with _as_copied(catalogue, taken) as connection:
            names = _named(connection)
            size, note = _newest(connection)
        copied, size_copied = _copy_objects(objects, LocalObjects(folder / OBJECTS), names, progress)
        if taken is not None:
            _replace(taken, folder / CATALOGUE)
        _write(folder / settings_file.name, settings_file.read_bytes())
        description = {
            "format": FORMAT,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": settings_file.name,
            "catalogue": taken is not None,
            "objects": len(names),
            "log_size": size,
            "checkpoint": note,
        }
        _write(folder / DESCRIPTION, json.dumps(description, indent=2).encode() + b"\n")
    except OSError as error:
        raise StorageError(
            f"The backup in {folder} cannot be written: {error.strerror or error}.",
            cure="Check the folder's rights and the disk's free space; run it again to go on.",
        ) from error
    return BackedUp(copied, len(names) - copied, size_copied, size, taken is not None)


def restore(
    *,
    folder: Path,
    root: Path,
    keys: Iterable[tuple[Path, str]],
    objects: str,
    catalogue: str,
    progress: Progress,
) -> dict[str, Any]:
    """Make a store at ``root``, which must not exist, from the backup in ``folder``; returns its description.

    ``keys`` are the files of the key provider and where they go below ``root``; ``objects`` and ``catalogue`` the
    places that the settings name. Places on servers are not filled: restore these with the servers' own means.

    Raises:
        UsageError: there is no backup, something is at ``root``, or a key file is missing.
        IntegrityError: the backup is damaged.
        StorageError: the disk refused; nothing is at ``root``.
    """
    description = describe(folder)
    if root.exists():
        raise UsageError(f"{root} exists.", cure="Restore to a new folder; put it in place when it has been checked.")
    lacking = [str(path) for path, _ in keys if not path.is_file()]
    if lacking:
        raise UsageError(
            f"The key file {lacking[0]} is missing.", cure="Name the folder of the keys' own backup or escrow."
        )
    building: Path | None = None
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
        source = LocalObjects(folder / OBJECTS)
        if not is_url(objects):
            (building / objects).mkdir(parents=True, exist_ok=True)
            _copy_objects(source, LocalObjects(building / objects), list(source.list()), progress)
        if not is_url(catalogue) and description["catalogue"]:
            _write(building / catalogue, (folder / CATALOGUE).read_bytes())
        _write(building / description["settings"], (folder / description["settings"]).read_bytes())
        for path, place in keys:
            (building / place).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(building / place, path.read_bytes(), mode=0o600)
        building.replace(root)
        _sync(root.parent)
    except FileNotFoundError as error:
        raise IntegrityError(
            f"The backup in {folder} is not whole: {error.filename} is missing.", cure="Use another backup."
        ) from error
    except OSError as error:
        raise StorageError(
            f"The store cannot be restored to {root}: {error.strerror or error}.",
            cure="Check the folder's rights and the disk's free space.",
        ) from error
    finally:
        if building is not None and building.exists():
            shutil.rmtree(building)
    return description


def back_up_keys(*, root: Path, files: Iterable[str], periods: Catalogue, periods_file: str, folder: Path) -> datetime:
    """Copy the key store to a folder of its own, which must be empty; returns the day by which it has to be deleted.

    A period key that is destroyed lives on in such copies: they live ``KEY_DAYS`` days at most, and a certificate of
    destruction is final only when the last of them has gone.

    Raises:
        UsageError: the folder is not empty, or holds a backup of the data: keys and data never lie together.
        StorageError: it cannot be written.
    """
    if (folder / DESCRIPTION).exists() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise UsageError(f"{folder} is not empty.", cure="Give every copy of the keys a folder of its own.")
    until = datetime.now(UTC) + timedelta(days=KEY_DAYS)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in files:
            _write(folder / Path(name).name, (root / name).read_bytes(), mode=0o600)
        taken = _snapshot(periods, folder)
        if taken is not None:
            taken.chmod(0o600)
            _replace(taken, folder / Path(periods_file).name)
        note = {"format": FORMAT, "at": datetime.now(UTC).isoformat(), "delete_by": until.isoformat()}
        _write(folder / KEY_DESCRIPTION, json.dumps(note, indent=2).encode() + b"\n", mode=0o600)
    except OSError as error:
        raise StorageError(
            f"The keys cannot be copied to {folder}: {error.strerror or error}.", cure="Check the folder's rights."
        ) from error
    return until


def describe(folder: Path) -> dict[str, Any]:
    """The description of the backup in a folder.

    Raises:
        UsageError: there is none.
        IntegrityError: it is damaged or of a newer version.
    """
    try:
        parsed = json.loads((folder / DESCRIPTION).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"There is no backup in {folder}.", cure="Name the folder of a `liucun backup`.") from error
    except (OSError, ValueError) as error:
        raise IntegrityError(f"The backup's description in {folder} is damaged.", cure="Use another backup.") from error
    wanted = {"format": int, "settings": str, "catalogue": bool, "log_size": int}
    if not isinstance(parsed, dict) or any(not isinstance(parsed.get(name), kind) for name, kind in wanted.items()):
        raise IntegrityError(f"The backup's description in {folder} is damaged.", cure="Use another backup.")
    if parsed["format"] != FORMAT or "/" in parsed["settings"] or parsed["settings"].startswith("."):
        raise IntegrityError(
            f"The backup in {folder} is of a version that this program does not know.", cure="Use a newer program."
        )
    return parsed


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / DESCRIPTION).exists())):
        # A first backup that was cut off has objects and no description yet.
        if folder.is_dir() and {path.name for path in folder.iterdir()} <= {OBJECTS, CATALOGUE, f"{CATALOGUE}.new"}:
            return
        raise UsageError(f"{folder} holds something else.", cure="Name an empty folder, or that of an earlier backup.")


def _snapshot(catalogue: Catalogue, folder: Path) -> Path | None:
    """A consistent copy of a SQLite catalogue, None for a server's."""
    if catalogue.engine.dialect.name != "sqlite":
        return None
    target = folder / f"{CATALOGUE}.new"
    target.unlink(missing_ok=True)
    with catalogue.engine.connect() as connection:
        driver = connection.connection.driver_connection
        copy = sqlite3.connect(target)
        try:
            driver.backup(copy)  # type: ignore[union-attr]
        except sqlite3.Error as error:
            raise StorageError(
                f"The catalogue could not be copied: {error}.", cure="Check the disk's free space; run it again."
            ) from error
        finally:
            copy.close()
    _sync(target)
    return target


@contextmanager
def _as_copied(catalogue: Catalogue, taken: Path | None) -> Iterator[sa.Connection]:
    """The catalogue as it was copied: what was merged or joined since has other objects.

    Of a server's catalogue, as it is now.
    """
    if taken is None:
        with catalogue.read() as connection:
            yield connection
        return
    engine = sa.create_engine(f"sqlite:///{taken}")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _named(connection: sa.Connection) -> list[str]:
    """Objects that the catalogue names."""
    r = retired_segments.c
    wanted = (
        sa.select(segments.c.object_name),
        sa.select(r.object_name).where(r.object_deleted_at.is_(None)),
        sa.select(log_entries.c.object_name),
        sa.select(checkpoints.c.object_name).where(checkpoints.c.object_name.is_not(None)),
    )
    return sorted({name for query in wanted for name in connection.execute(query).scalars()})


def _newest(connection: sa.Connection) -> tuple[int, str | None]:
    c = checkpoints.c
    row = connection.execute(sa.select(c.size, c.note).order_by(c.size.desc()).limit(1)).one_or_none()
    return (0, None) if row is None else (int(row.size), str(row.note))


def _copy_objects(source: ObjectStore, target: LocalObjects, names: list[str], progress: Progress) -> tuple[int, int]:
    there = set(target.list())
    copied = size = 0
    for number, name in enumerate(names, 1):
        if name in there:
            if target.size(name) != source.size(name):
                raise IntegrityError(
                    f"The object {name!r} in the backup is not the store's.",
                    cure="Find out which of them was changed; make a new backup in an empty folder.",
                )
        else:
            data = source.read(name)
            target.put(name, data)
            copied, size = copied + 1, size + len(data)
        progress("objects", number, len(names))
    return copied, size


def _write(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _replace(temporary, path)


def _replace(temporary: Path, path: Path) -> None:
    temporary.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
