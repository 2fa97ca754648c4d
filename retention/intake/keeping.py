"""The writer's housekeeping: recovery after a crash, idempotency keys across files, deletion of what is archived."""

from __future__ import annotations

import contextlib
import os
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from errors import IntegrityError
from retention.intake.frames import HEADER_BYTES, NO_KEY, Cipher, Frame, open_, parsed
from retention.intake.marks import FRAMES, SUFFIX, Mark, mark_path, read_mark, write_mark
from retention.intake.reading import frame_at, journal_files

KEYS: Final = ".keys"
"""Headers of frames whose file is deleted and whose keys are not forgotten yet."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was taken over under an idempotency key."""

    file: str
    frame: Frame


@dataclass(slots=True)
class KnownKeys:
    """Idempotency keys, the oldest first; at most ``most``, none older than ``seconds``."""

    most: int
    seconds: float
    forgotten_early: int = 0
    _known: OrderedDict[bytes, Known] = field(default_factory=OrderedDict)
    _files: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: bytes) -> Known | None:
        """What was taken over under a key that is still known."""
        return self._known.get(key)

    def add(self, file: str, frame: Frame) -> None:
        """Remember a frame's key, if it has one."""
        if frame.key == NO_KEY:
            return
        if (before := self._known.pop(frame.key, None)) is not None:
            self._files[before.file] -= 1
        self._known[frame.key] = Known(file, frame)
        self._files[file] += 1
        while len(self._known) > self.most:
            self._forget()
            self.forgotten_early += 1

    def expire(self, now_micros: int) -> None:
        """Forget what is too old."""
        limit = now_micros - int(self.seconds * 1e6)
        while self._known and next(iter(self._known.values())).frame.received < limit:
            self._forget()

    def _forget(self) -> None:
        _, known = self._known.popitem(last=False)
        self._files[known.file] -= 1
        if not self._files[known.file]:
            del self._files[known.file]

    def knows(self, file: str) -> bool:
        """Whether a key of the file is still known."""
        return self._files[file] > 0

    def of_file(self, file: str) -> list[Frame]:
        """The known frames of a file."""
        return [known.frame for known in self._known.values() if known.file == file]


def recover(folder: Path, cipher: Cipher) -> None:
    """Close every file that a writer left open: what is whole counts, a torn end is cut off and was never answered.

    Raises:
        OSError: the disk refuses.
    """
    for stray in folder.glob(f"*{SUFFIX}"):
        if not stray.with_suffix(FRAMES).exists():
            stray.unlink()  # the file itself was deleted just before
    for path in journal_files(folder):
        mark = read_mark(path)
        if mark.closed:
            continue
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            mark = _whole(handle, path.name, mark, cipher)
            os.ftruncate(handle, mark.stored)
            os.fsync(handle)
        finally:
            os.close(handle)
        close_mark(path, mark)
    sync_folder(folder)


def _whole(handle: int, name: str, mark: Mark, cipher: Cipher) -> Mark:
    """The end of the last whole frame at or after the mark."""
    stored, lines = mark.stored, mark.lines
    while (frame := frame_at(handle, stored)) is not None and frame.start == lines:
        sealed = os.pread(handle, frame.sealed, stored + HEADER_BYTES)
        try:
            open_(cipher, name, frame, sealed)
        except IntegrityError:
            break
        stored, lines = stored + frame.length, frame.end
    return Mark(stored, lines)


def close_mark(path: Path, mark: Mark) -> None:
    """Say for good where a file ends. Raises ``OSError``."""
    handle = os.open(mark_path(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        write_mark(handle, Mark(mark.stored, mark.lines, closed=True))
    finally:
        os.close(handle)


def load_keys(folder: Path, keys: KnownKeys, now_micros: int) -> None:
    """Learn the keys of every file again, those of deleted files included. Raises ``OSError``."""
    found: list[tuple[str, Frame]] = []
    for path in sorted(folder.glob(f"*{KEYS}")):
        data = path.read_bytes()
        headers = (parsed(data[at : at + HEADER_BYTES]) for at in range(0, len(data), HEADER_BYTES))
        found += [(path.stem, frame) for frame in headers if frame is not None]
    for path in journal_files(folder):
        found += [(path.stem, frame) for frame in _headers(path)]
    for file, frame in sorted(found, key=lambda item: item[1].received):
        keys.add(file, frame)
    keys.expire(now_micros)


def _headers(path: Path) -> Iterator[Frame]:
    mark = read_mark(path)
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        stored = 0
        while stored < mark.stored and (frame := frame_at(handle, stored)) is not None:
            yield frame
            stored += frame.length
    finally:
        os.close(handle)


def delete_archived(path: Path, keys: KnownKeys) -> None:
    """Delete a journal file whose every line is in the archive; its keys stay. Raises ``OSError``."""
    if frames := keys.of_file(path.stem):
        kept = path.with_suffix(KEYS)
        temporary = path.with_suffix(".writing")
        with temporary.open("wb") as file:
            file.write(b"".join(frame.packed() for frame in frames))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(kept)
        sync_folder(path.parent)
    path.unlink()
    mark_path(path).unlink(missing_ok=True)
    sync_folder(path.parent)


def delete_old_keys(folder: Path, keys: KnownKeys) -> None:
    """Delete files of keys none of which is known any more. Raises ``OSError``."""
    for path in folder.glob(f"*{KEYS}"):
        if not keys.knows(path.stem):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable. Raises ``OSError``."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
