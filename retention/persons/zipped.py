"""A zip file that is written file by file to the disk; the same files give the same bytes."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retention.new_file import Unplaced, said

_STAMP: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ZipWriter:
    """Where files are added."""

    path: Path
    _archive: zipfile.ZipFile

    def add(self, name: str, data: bytes) -> None:
        """Pack a file and write it.

        Raises:
            StorageError: the disk refused.
        """
        with said(self.path):
            self._archive.writestr(zipfile.ZipInfo(name, _STAMP), data, zipfile.ZIP_DEFLATED)


@contextlib.contextmanager
def zip_into(made: Unplaced) -> Iterator[ZipWriter]:
    """A zip file (with ZIP64 records where it is large), complete when the block ends.

    Raises:
        StorageError: the disk refused.
    """
    archive = zipfile.ZipFile(made.file, "w", zipfile.ZIP_DEFLATED)
    try:
        yield ZipWriter(made.path, archive)
    except BaseException:
        # The file is thrown away: what closing it cannot write any more hides nothing.
        with contextlib.suppress(OSError, ValueError):
            archive.close()
        raise
    with said(made.path):
        archive.close()
