"""Objects as files under one folder: temporary file, fsync, link, fsync of the folders.

A name appears only with its whole content on the disk. ``link`` refuses a name that
exists, so an object is never overwritten, whoever else writes.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from errors import StorageError
from retention.errors import ObjectExistsError, ObjectMissingError
from retention.objects.base import check_name

_TEMPORARY: Final = ".tmp-"


class LocalObjects:
    """An ``ObjectStore`` in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, name: str, data: bytes | memoryview) -> None:
        """See ``ObjectStore``."""
        path = self._path(name)
        with _translated(name):
            made = _make_folders(path.parent, self.root)
            temporary = path.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
            try:
                _write(temporary, data)
                os.link(temporary, path)
            finally:
                with suppress(FileNotFoundError):
                    temporary.unlink()
            for folder in (path.parent, *made):
                _sync(folder)

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """See ``ObjectStore``."""
        with _translated(name), self._path(name).open("rb") as file:
            file.seek(start)
            return file.read() if end is None else file.read(max(end - start, 0))

    def size(self, name: str) -> int:
        """See ``ObjectStore``."""
        with _translated(name):
            return self._path(name).stat().st_size

    def list(self, prefix: str = "") -> Iterator[str]:
        """See ``ObjectStore``."""
        top = self.root / prefix.rpartition("/")[0]
        with _translated(prefix):
            for folder, folders, files in os.walk(top, onerror=_raise):
                folders.sort()
                for file in sorted(files):
                    name = (Path(folder) / file).relative_to(self.root).as_posix()
                    if not file.startswith(_TEMPORARY) and name.startswith(prefix):
                        yield name

    def delete(self, name: str) -> None:
        """See ``ObjectStore``."""
        path = self._path(name)
        with _translated(name):
            path.unlink()
            _sync(path.parent)

    def leftovers(self) -> Iterator[Path]:
        """Temporary files of writes that a crash cut off; harmless, to be collected."""
        yield from sorted(self.root.rglob(f"{_TEMPORARY}*"))

    def _path(self, name: str) -> Path:
        return self.root / check_name(name)


def _write(path: Path, data: bytes | memoryview) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_folders(folder: Path, root: Path) -> list[Path]:
    """Make missing folders below ``root``; return those whose entries changed."""
    changed: list[Path] = []
    missing = folder
    while missing != root and not missing.exists():
        changed.append(missing.parent)
        missing = missing.parent
    folder.mkdir(parents=True, exist_ok=True)
    return changed


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _raise(error: OSError) -> None:
    if error.errno != errno.ENOENT:
        raise error


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ObjectExistsError(f"The object {name} exists.", cure="Write it under another name.") from error
    except FileNotFoundError as error:
        raise ObjectMissingError(f"The object {name} is missing.", cure="Restore it from a backup.") from error
    except OSError as error:
        cure = "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Check the disk and its rights"
        raise StorageError(
            f"The object {name} cannot be stored or read: {error.strerror}.", cure=f"{cure}, then run again."
        ) from error
