"""The journal file that is being written: frames appended and synced, its mark moved, a failed write taken back."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from retention.intake.frames import Cipher, Frame, seal
from retention.intake.keeping import sync_folder
from retention.intake.marks import FRAMES, Mark, mark_path, write_mark

_NOTHING: Final = Mark()


@dataclass(frozen=True, slots=True)
class Lines:
    """What one request hands over: ``count`` lines, its key's and the lines' keyed hashes (``frames.NO_KEY``: none)."""

    data: bytes
    count: int
    key: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """Frames that are synced, in the file with this stem."""

    file: str
    frames: list[Frame]
    sync_seconds: float


@dataclass(slots=True)
class _Open:
    path: Path
    handle: int
    mark_handle: int
    opened: float = field(default_factory=time.monotonic)
    mark: Mark = _NOTHING


class JournalFile:
    """The newest file of a journal, opened when something is appended. One thread at a time, one process a folder."""

    def __init__(self, folder: Path, cipher: Cipher) -> None:
        self._folder = folder
        self._cipher = cipher
        self._file: _Open | None = None
        self._doubtful = False

    @property
    def path(self) -> Path | None:
        """The file, None between two."""
        return self._file.path if self._file else None

    @property
    def mark(self) -> Mark:
        """Up to where it is synced."""
        return self._file.mark if self._file else _NOTHING

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self._file.opened if self._file else 0.0

    def append(self, items: Sequence[Lines], received: int) -> Appended:
        """Write a frame for each of the items, sync them together, and move the mark.

        ``received`` is in microseconds since 1970.

        Raises:
            OSError: the disk refuses. Nothing counts as written; call ``take_back``.
        """
        if self._doubtful:
            self.take_back()
        file = self._file or self._new()
        stored, position = file.mark.stored, file.mark.lines
        parts: list[bytes] = []
        frames: list[Frame] = []
        for item in items:
            frame = Frame(position, len(item.data), item.count, received, item.key, item.digest)
            frame, whole = seal(self._cipher, file.path.name, frame, item.data)
            parts.append(whole)
            frames.append(frame)
            position = frame.end
        data = memoryview(b"".join(parts))
        mark = Mark(stored + len(data), position)
        self._doubtful = True
        began = time.perf_counter()
        while data:
            written = os.pwrite(file.handle, data, stored)
            data, stored = data[written:], stored + written
        os.fdatasync(file.handle)
        seconds = time.perf_counter() - began
        write_mark(file.mark_handle, mark)
        self._doubtful = False
        file.mark = mark
        return Appended(file.path.stem, frames, seconds)

    def take_back(self) -> None:
        """Cut the file at its mark and close it; what stands past the mark was never answered.

        Raises:
            OSError: the disk refuses; nothing is appended until it succeeds.
        """
        file = self._file
        if file is not None:
            os.ftruncate(file.handle, file.mark.stored)
            os.fsync(file.handle)
            self._doubtful = False
            self.close()
        self._doubtful = False

    def close(self) -> None:
        """Say for good where the file ends; the next lines begin another.

        Raises:
            OSError: the mark could not be written. Nothing is appended to the file any more, all the same.
        """
        file, self._file = self._file, None
        if file is None:
            return
        try:
            write_mark(file.mark_handle, Mark(file.mark.stored, file.mark.lines, closed=True))
        finally:
            os.close(file.handle)
            os.close(file.mark_handle)

    def _new(self) -> _Open:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        path = self._folder / f"{name}{FRAMES}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        handle = os.open(path, flags, 0o600)
        try:
            mark_handle = os.open(mark_path(path), flags, 0o600)
        except OSError:
            os.close(handle)
            path.unlink(missing_ok=True)
            raise
        self._file = _Open(path, handle, mark_handle)
        sync_folder(self._folder)
        return self._file
