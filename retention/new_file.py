"""A file that leaves the store: it is new, and there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from errors import StorageError


def write_out(path: Path, data: bytes) -> None:
    """Write a file that is not there yet; what could not be written to its end is taken away again.

    Raises:
        StorageError: it is there already, or the folder or the disk refused.
    """
    try:
        with path.open("xb") as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:  # an interruption, too, leaves no half file
                path.unlink(missing_ok=True)
                raise
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise StorageError(
            f"{path} cannot be written: {why or error}.", cure="Check the path, its rights and the disk's free space."
        ) from error
