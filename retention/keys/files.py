"""Small secret files: read with a bound, written whole or not at all, for the owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from errors import StorageError, UsageError
from retention.errors import KeyRingDamagedError


def read_small(path: Path, limit: int) -> bytes | None:
    """The file's bytes, None if there is no file.

    Raises:
        KeyRingDamagedError: it is longer than ``limit``, or no plain file.
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError as error:
        raise KeyRingDamagedError(f"{path} is a folder.", cure="Put the file back from its escrow copy.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.", cure="Check the file's rights.") from error
    if len(data) > limit:
        raise KeyRingDamagedError(f"{path} is over {limit} bytes.", cure="Put the file back from its escrow copy.")
    return data


def write_private(path: Path, data: bytes, *, create: bool) -> None:
    """Write a file of mode 0600 so that after a crash the old or the new one is there; ``create`` refuses to replace.

    Raises:
        UsageError: ``create``, and it exists.
        StorageError: the disk refused.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    try:
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            if create:
                os.link(temporary, path)
            else:
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already.", cure="It was not touched; choose another name.") from error
    except OSError as error:
        raise StorageError(
            f"{path} could not be written: {error.strerror or error}.", cure="Check free space and the folder's rights."
        ) from error
