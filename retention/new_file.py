"""A file that leaves the store: it is new, and there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from errors import StorageError

_NAMELESS: Final[int] = getattr(os, "O_TMPFILE", 0)
"""Linux: a file without a name, which is gone with the process, however that ends."""
_NOT_HERE: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})
"""What a file system says that has no such files, or a kernel. ``ENOENT`` may mean the folder: the next step tells."""
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_HIDDEN: Final = ".writing-"
LOG: Final = logging.getLogger("liucun.files")


@dataclass(slots=True)
class Unplaced:
    """A file that is being written and that nobody can find under its name yet; ``file`` is open, for its owner only.

    ``hidden``: the name that it has meanwhile where the file system has no files without one. ``placed``: whether it
    has its own name.
    """

    path: Path
    file: BinaryIO
    hidden: Path | None
    placed: bool = False

    def sync(self) -> None:
        """Bring all that was written to the disk.

        Raises:
            StorageError: the disk refused.
        """
        with said(self.path):
            self.file.flush()
            os.fsync(self.file.fileno())

    def place(self) -> None:
        """Give the file its name, at the end. Call ``sync`` first.

        Raises:
            StorageError: the name was taken meanwhile, or the folder or the disk refused.
        """
        with said(self.path):
            if self.hidden is None:
                handle = self.file.fileno()
                # With a folder given, which an absolute path does not use, Python follows the link to the file.
                os.link(_of(handle), self.path, src_dir_fd=handle, follow_symlinks=True)
            else:
                _linked(self.hidden, self.path)
        self.placed = True
        # The file is there already; that a power cut might still take its name is no reason to say it is not.
        with contextlib.suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


@contextlib.contextmanager
def unplaced(path: Path) -> Iterator[Unplaced]:
    """A new file of any size, written bit by bit: nothing is left of it unless it was placed.

    Where the file system has no files without a name (not ext4, XFS, Btrfs, tmpfs), a process that is killed leaves a
    hidden file ``.writing-…`` beside it. A file that was placed stays placed, also when its hidden name cannot be taken
    away: that is logged, and the next file that is begun in the folder takes the name away.

    Raises:
        StorageError: a file of this name is there already, or the folder refused; of a file that was not placed, its
            hidden name cannot be taken away.
    """
    with said(path):
        _check_free(path)
        handle, hidden = _opened(path.parent)
    made = Unplaced(path, os.fdopen(handle, "w+b"), hidden)
    failed = True
    try:
        yield made
        failed = False
    finally:
        with contextlib.suppress(OSError):  # what a full disk did not take is thrown away here in any case
            made.file.close()
        if hidden is not None:
            _take_away(made, hidden, failed=failed)


@contextlib.contextmanager
def said(path: Path) -> Iterator[None]:
    """Errors of writing a file, as one of ours.

    Raises:
        StorageError: the operating system refused.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise StorageError(
            f"{path} cannot be written: {why or error}.", cure="Check the path, its rights and the disk's free space."
        ) from error


def write_out(path: Path, data: bytes) -> None:
    """Write a file that is not there yet; what could not be written to its end is taken away again.

    Raises:
        StorageError: it is there already, or the folder or the disk refused.
    """
    with said(path), path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:  # an interruption, too, leaves no half file
            path.unlink(missing_ok=True)
            raise


def _check_free(path: Path) -> None:
    """See that a name can be given, and is not; that the folder is there shows when a file is opened in it."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _take_away(made: Unplaced, hidden: Path, *, failed: bool) -> None:
    """Take the hidden name away. That it stays makes no file that was placed undone, and hides no error."""
    try:
        hidden.unlink(missing_ok=True)
    except OSError as error:
        if not made.placed and not failed:
            raise StorageError(
                f"{hidden} cannot be deleted: {error.strerror or error}.",
                cure="It holds what was to be written: delete it.",
            ) from error
        what = f"a second name of {made.path}" if made.placed else f"what was written of {made.path}"
        LOG.warning("%s is %s and cannot be deleted (%s): delete it.", hidden, what, error.strerror or error)


def _sweep(folder: Path) -> None:
    """Take away hidden names of files that were placed: these have another name, which one being written lacks."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.name.startswith(_HIDDEN):
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1 and found.st_uid == os.getuid():
                        Path(entry.path).unlink()
                        LOG.info("%s, a second name of a file that was written before, was deleted.", entry.path)


def _opened(folder: Path) -> tuple[int, Path | None]:
    """A new file in a folder, without a name, or with a hidden one."""
    if _NAMELESS:
        try:
            handle = os.open(folder, _NAMELESS | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
        else:
            if os.path.lexists(_of(handle)):
                return handle, None
            os.close(handle)  # without /proc it could never be given a name
    _sweep(folder)
    handle, name = tempfile.mkstemp(prefix=_HIDDEN, dir=folder)
    return handle, Path(name)


def _of(handle: int) -> str:
    return f"/proc/self/fd/{handle}"


def _linked(hidden: Path, path: Path) -> None:
    """Move a file to a name that is not taken."""
    try:
        os.link(hidden, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        return
    # FAT and some network folders have no links: the name is claimed by an empty file, and this replaced.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        hidden.replace(path)
    except BaseException:
        path.unlink()
        raise
