"""Reads lists to import and writes new packs: whole or not at all, never over one that is there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from detectors.base import CATEGORIES
from detectors.errors import RuleListError
from detectors.keywords.wordlists import MAX_BYTES
from errors import StorageError, UsageError


def refuse_category(name: str) -> None:
    """Raise UsageError if there is no such category."""
    if name not in CATEGORIES:
        raise UsageError(f"The category {name!r} is unknown.", cure=f"Use one of {', '.join(CATEGORIES)}.")


def read_list_file(path: Path) -> bytes:
    """The bytes of a list, at most one more than may be read.

    Raises:
        RuleListError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RuleListError(
            f"{path} cannot be read: {error.strerror or error}.", cure="Name a file that can be read."
        ) from error


def write_new(path: Path, text: str) -> None:
    """Write a pack that a running job sees whole or not at all.

    Raises:
        UsageError: the file exists.
        StorageError: the disk refused.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o640)
            os.link(temporary, path)
        finally:
            Path(temporary).unlink()
    except FileExistsError as error:
        raise UsageError(f"{path} exists already.", cure="Name a file that does not exist yet.") from error
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}.", cure="Check the folder and the disk's free space."
        ) from error
