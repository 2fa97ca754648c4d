"""Objects as files below one folder.

A file is written under a temporary name, synced, and linked to its own name, which
fails if the name is taken; then the folders are synced. So a name is there with all
its bytes or not at all, after a crash as well. Temporary names begin with a dot,
which no object name can.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from errors import StorageError
from retention.errors import DiskFullError, ObjectExistsError, ObjectMissingError
from retention.objects.base import checked_name, checked_range, missing

_TEMPORARY: Final = ".writing-"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class LocalObjects:
    """A folder of a local (or POSIX-like network) file system; safe for threads and processes.

    Args:
        root: the folder; it is made on the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """See ``ObjectStore.put``."""
        target = self._path(name)
        temporary = target.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
        try:
            _make_folder(target.parent)
            try:
                _write_synced(temporary, memoryview(data).cast("B"))
                os.link(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
            try:
                _sync_folder(target.parent)
            except OSError:
                # The name may or may not survive a power cut: better that it does not.
                target.unlink(missing_ok=True)
                raise
        except FileExistsError as error:
            raise ObjectExistsError(
                f"The object {name!r} exists already.", cure="Nothing was overwritten; a retry takes a new name."
            ) from error
        except OSError as error:
            raise _failure(f"The object {name!r} could not be stored", error) from error

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """See ``ObjectStore.read``."""
        checked_range(name, start, end)
        try:
            with self._path(name).open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                stop = size if end is None else min(end, size)
                return _read_exactly(file.fileno(), start, stop)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise missing(name) from error
        except OSError as error:
            raise _failure(f"The object {name!r} could not be read", error) from error

    def size(self, name: str) -> int:
        """See ``ObjectStore.size``."""
        found = self._stat(name)
        if found is None:
            raise missing(name)
        return found.st_size

    def list(self, prefix: str = "") -> Iterator[str]:
        """See ``ObjectStore.list``."""
        # Only the folder that the prefix names needs to be walked.
        folder = prefix.rpartition("/")[0]
        try:
            yield from (name for name in self._walk(folder) if name.startswith(prefix))
        except OSError as error:
            raise _failure(f"The objects below {str(self.root)!r} could not be listed", error) from error

    def delete(self, name: str) -> None:
        """See ``ObjectStore.delete``."""
        path = self._path(name)
        try:
            path.unlink()
            _sync_folder(path.parent)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise missing(name) from error
        except OSError as error:
            raise _failure(f"The object {name!r} could not be deleted", error) from error

    def exists(self, name: str) -> bool:
        """See ``ObjectStore.exists``."""
        return self._stat(name) is not None

    def leftovers(self, *, older_than: float) -> tuple[Path, ...]:
        """Temporary files of writers that died, last written over ``older_than`` seconds ago."""
        limit = time.time() - older_than
        found = []
        try:
            for folder, _, names in os.walk(self.root):
                for name in names:
                    path = Path(folder, name)
                    if name.startswith(_TEMPORARY) and path.stat().st_mtime < limit:
                        found.append(path)
        except OSError as error:
            raise _failure(f"The folder {str(self.root)!r} could not be searched", error) from error
        return tuple(sorted(found))

    def collect_leftovers(self, *, older_than: float) -> int:
        """Delete what ``leftovers`` finds and return how many there were."""
        found = self.leftovers(older_than=older_than)
        for path in found:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        return len(found)

    def _path(self, name: str) -> Path:
        return self.root / checked_name(name)

    def _stat(self, name: str) -> os.stat_result | None:
        try:
            found = self._path(name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failure(f"The object {name!r} could not be read", error) from error
        return found if stat.S_ISREG(found.st_mode) else None

    def _walk(self, folder: str) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(self.root / folder), key=_order)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(name)
            else:
                yield name


def _order(entry: os.DirEntry[str]) -> str:
    # Folders sort as their names do with the slash, so that the whole walk is in name order.
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    _sync_folder(folder.parent)


def _write_synced(path: Path, data: memoryview) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_exactly(handle: int, start: int, stop: int) -> bytes:
    data = os.pread(handle, max(stop - start, 0), start)
    if len(data) >= stop - start:
        return data
    parts = [data]
    at = start + len(data)
    while at < stop and (more := os.pread(handle, stop - at, at)):
        parts.append(more)
        at += len(more)
    return b"".join(parts)


def _failure(what: str, error: OSError) -> StorageError:
    if isinstance(error, FileNotFoundError):
        return ObjectMissingError(f"{what}: {error.strerror}.", cure="Check that the store's folder is still there.")
    if error.errno in _FULL:
        return DiskFullError(f"{what}: the disk is full.", cure="Free space or enlarge the disk, then run again.")
    return StorageError(
        f"{what}: {error.strerror or error}.", cure="Check the disk, its mount and the folder's rights, then run again."
    )
