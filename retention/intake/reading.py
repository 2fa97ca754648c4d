"""Reads journal files by the offsets of their lines, whole frames at a time, never past the mark."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from errors import IntegrityError
from retention.intake.frames import HEADER_BYTES, Cipher, Frame, open_, parsed
from retention.intake.marks import FRAMES, Mark, read_mark


def journal_files(folder: Path) -> list[Path]:
    """The journal files of a source, the oldest first; none where there is no folder yet."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == FRAMES)
    except FileNotFoundError:
        return []


class JournalReader:
    """One journal file from an offset of its lines on."""

    def __init__(self, path: Path, cipher: Cipher, position: int = 0) -> None:
        self.path = path
        self.position = position
        """Offset of the next line to read."""
        self._cipher = cipher
        self._stored = 0

    def mark(self) -> Mark:
        """How far it may be read now."""
        return read_mark(self.path)

    def read(self, most: int) -> bytes:
        """Lines from ``position`` on, of whole frames, at least one and about ``most`` bytes; empty when none waits.

        Raises:
            IntegrityError: a frame before the mark is damaged; ``position`` stays before it.
            OSError: the file cannot be read.
        """
        mark = self.mark()
        if self.position >= mark.lines:
            return b""
        parts: list[bytes] = []
        size = 0
        with _opened(self.path) as handle:
            while self._stored < mark.stored and (not parts or size < most):
                frame = frame_at(handle, self._stored)
                if frame is None or self._stored + frame.length > mark.stored:
                    if parts:
                        break
                    raise self._damaged()
                if frame.end > self.position:
                    sealed = os.pread(handle, frame.sealed, self._stored + HEADER_BYTES)
                    try:
                        lines = open_(self._cipher, self.path.name, frame, sealed)
                    except IntegrityError as error:
                        if parts:
                            break
                        raise self._damaged() from error
                    parts.append(lines[self.position - frame.start :])
                    size += len(parts[-1])
                    self.position = frame.end
                self._stored += frame.length
        return b"".join(parts)

    def _damaged(self) -> IntegrityError:
        return IntegrityError(
            f"The journal {self.path} is damaged from its line offset {self.position} on.",
            cure="Restore the file from a copy; what lies before the damage is archived, what was answered after it "
            "is not. Once given up, the file may be deleted by hand.",
        )


def frame_at(handle: int, stored: int) -> Frame | None:
    """The header of the frame that begins at a byte of the file."""
    return parsed(os.pread(handle, HEADER_BYTES, stored))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)
