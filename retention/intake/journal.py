"""The journal's writer: takes lines over, syncs them in groups, and only then lets the caller answer.

One thread writes. Whatever waits when a sync ends is written and synced together, so that many callers share one sync.
A write or sync that fails is taken back (the file is cut at its mark), so that nothing refused is archived later; until
that succeeds nothing is taken over.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from errors import LiucunError, StorageError
from retention.intake.errors import IntakeBusyError, IntakeConflictError, IntakeFullError
from retention.intake.frames import NO_KEY, Cipher
from retention.intake.journal_file import JournalFile, Lines
from retention.intake.keeping import (
    KnownKeys,
    close_mark,
    delete_archived,
    delete_old_keys,
    load_keys,
    recover,
    sync_folder,
)
from retention.intake.marks import read_mark
from retention.intake.reading import journal_files
from retention.intake.settings import CollectorSettings

GROUP_BYTES: Final = 16 << 20
"""About how much is written before one sync."""
LOOK_SECONDS: Final = 1.0
LOG: Final = logging.getLogger("liucun.collector")


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where the lines stand: offsets [start, end) of a partition. ``repeated``: they stood there before."""

    partition: str
    start: int
    end: int
    lines: int
    repeated: bool = False


@dataclass(slots=True)
class Figures:
    """Counts since the start; ``backlog``: bytes on disk and not archived, ``oldest``: their file's time of change."""

    requests: int = 0
    lines: int = 0
    bytes: int = 0
    repeated: int = 0
    refused_busy: int = 0
    refused_full: int = 0
    failures: int = 0
    syncs: int = 0
    sync_seconds: float = 0.0
    backlog: int = 0
    oldest: float | None = None
    deleted: int = 0


@dataclass(slots=True)
class _Waiting:
    lines: bytes
    count: int
    key: bytes
    digest: bytes
    done: threading.Event = field(default_factory=threading.Event)
    receipt: Receipt | None = None
    error: LiucunError | None = None

    def answer(self, receipt: Receipt) -> None:
        self.receipt = receipt
        self.done.set()

    def refuse(self, error: LiucunError) -> None:
        self.error = error
        self.done.set()


class Journal:
    """The journal of one source, for many threads of one process; use it in a ``with`` statement.

    ``archived`` returns the catalogue's cursors of partitions by name.

    Raises:
        IntakeFullError: another process writes this journal, or the disk refuses.
    """

    def __init__(
        self,
        folder: Path,
        cipher: Cipher,
        limits: CollectorSettings,
        archived: Callable[[list[str]], Mapping[str, int]],
    ) -> None:
        self.folder = folder
        self.figures = Figures()
        self._cipher = cipher
        self._limits = limits
        self._archived = archived
        self._keys = KnownKeys(limits.remember_keys, limits.remember_minutes * 60)
        self._file = JournalFile(folder, cipher)
        self._waiting: deque[_Waiting] = deque()
        self._held = 0
        self._room = threading.Condition()
        self._disk = threading.Lock()
        self._looked = -LOOK_SECONDS
        self._full: str | None = None
        self._stop = False
        self._lock_handle = self._open()
        self._thread = threading.Thread(target=self._write_on, name=f"journal-{folder.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> int:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                sync_folder(self.folder.parent)
                recover(self.folder, self._cipher)
                load_keys(self.folder, self._keys, _micros())
            except BaseException:
                os.close(handle)  # and with it the lock: the next try may find the disk well again
                raise
        except BlockingIOError:
            raise IntakeFullError(
                f"Another process takes lines over into {self.folder}.",
                cure="One `liucun serve` of a store takes lines over; stop the other one.",
            ) from None
        except OSError as error:
            raise _refusal(f"The journal {self.folder} cannot be opened", error) from error
        return handle

    # Taking lines over

    def take(self, lines: bytes, count: int, key: str | None = None) -> Receipt:
        """Take lines over (each ends in LF; ``count`` of them) and return once they are synced.

        The same ``key`` with the same lines returns the first receipt again, whenever it comes back.

        Raises:
            IntakeBusyError: too much waits in memory.
            IntakeFullError: the archive is behind, the disk is nearly full, or the journal failed: nothing was kept.
            IntakeConflictError: the key was used for other lines.
        """
        item = _Waiting(lines, count, NO_KEY, NO_KEY)
        if key is not None:
            item.key = bytes.fromhex(self._cipher.blind(key, "intake.key"))
            item.digest = bytes.fromhex(self._cipher.blind(hashlib.sha256(lines).hexdigest(), "intake.lines"))
        with self._room:
            if self._stop:
                raise IntakeFullError("The collector is stopping.", cure="Send the same again in half a minute.")
            if item.key == NO_KEY or self._keys.find(item.key) is None:
                self._admit(item)
            self._waiting.append(item)
            self._held += len(lines)
            self._room.notify()
        item.done.wait()
        if item.error is not None:
            raise item.error
        assert item.receipt is not None
        return item.receipt

    def _admit(self, item: _Waiting) -> None:
        if self._held + len(item.lines) > max(self._limits.waiting_megabytes << 20, len(item.lines)):
            self.figures.refused_busy += 1
            raise IntakeBusyError("More lines wait than can be synced.", cure="Send the same again in a second.")
        if (why := self._no_room()) is not None:
            self.figures.refused_full += 1
            raise IntakeFullError(why, cure="Nothing was kept; send the same again later. `liucun run` empties it.")

    def _no_room(self) -> str | None:
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._full = None
            if self.figures.backlog > self._limits.backlog_megabytes << 20:
                self._full = "The archive is too far behind the journal."
            with contextlib.suppress(OSError):
                disk = os.statvfs(self.folder)
                if disk.f_bavail * disk.f_frsize < self._limits.reserve_megabytes << 20:
                    self._full = "The disk of the journal is nearly full."
            if self._full:
                LOG.error("collector %s takes nothing: %s", self.folder.name, self._full)
        return self._full

    # The writer's thread

    def _write_on(self) -> None:
        while True:
            with self._room:
                while not self._waiting and not self._stop:
                    self._room.wait()
                if not self._waiting:
                    return
                group = self._next_group()
            try:
                with self._disk:
                    self._commit(group)
            except Exception as error:  # noqa: BLE001 - whoever waits must be answered, whatever happened
                LOG.warning("collector %s: a group failed: %s", self.folder.name, type(error).__name__)
                refusal = error if isinstance(error, LiucunError) else _broken(self.folder)
                for item in group:
                    if not item.done.is_set():
                        item.refuse(refusal)
            with self._room:
                self._held -= sum(len(item.lines) for item in group)

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and (not group or size + len(self._waiting[0].lines) <= GROUP_BYTES):
            group.append(self._waiting.popleft())
            size += len(group[-1].lines)
        return group

    def _commit(self, group: list[_Waiting]) -> None:
        fresh: dict[bytes, _Waiting] = {}
        again: list[_Waiting] = []
        for number, item in enumerate(group):
            known = self._keys.find(item.key) is not None or item.key in fresh
            if item.key != NO_KEY and known:
                again.append(item)
            else:
                fresh[item.key if item.key != NO_KEY else number.to_bytes(8, "big")] = item
        if fresh:
            try:
                self._store(list(fresh.values()))
            except OSError as error:
                self.figures.failures += 1
                LOG.warning("collector %s: a write failed: %s", self.folder.name, error.strerror)
                self._take_back()
                refusal = _refusal("The journal could not be written", error)
                for item in fresh.values():
                    item.refuse(refusal)
        for item in again:
            self._repeat(item)

    def _store(self, items: list[_Waiting]) -> None:
        appended = self._file.append([Lines(i.lines, i.count, i.key, i.digest) for i in items], _micros())
        self.figures.syncs += 1
        self.figures.sync_seconds += appended.sync_seconds
        for item, frame in zip(items, appended.frames, strict=True):
            self._keys.add(appended.file, frame)
            self.figures.requests += 1
            self.figures.lines += frame.lines
            self.figures.bytes += frame.size
            self.figures.backlog += frame.size
            item.answer(Receipt(appended.file, frame.start, frame.end, frame.lines))
        if self._file.mark.stored >= self._limits.file_megabytes << 20:
            self._end_file()

    def _end_file(self) -> None:
        """Begin another file with the next lines. What was answered stays so, whatever becomes of the mark."""
        try:
            self._file.close()
        except OSError as error:
            LOG.warning("collector %s: a file could not be closed: %s", self.folder.name, error.strerror)

    def _take_back(self) -> None:
        try:
            self._file.take_back()
        except OSError as error:
            LOG.critical("collector %s: a write could not be taken back: %s", self.folder.name, error.strerror)

    def _repeat(self, item: _Waiting) -> None:
        known = self._keys.find(item.key)
        if known is None:
            item.refuse(_broken(self.folder))  # the first of the two failed: so does the second
        elif known.frame.digest != item.digest:
            item.refuse(
                IntakeConflictError("This idempotency key came with other lines before.", cure="Take a new key.")
            )
        else:
            self.figures.repeated += 1
            frame = known.frame
            item.answer(Receipt(known.file, frame.start, frame.end, frame.lines, repeated=True))

    # Housekeeping

    def tend(self) -> None:
        """Close a file that is old enough, delete what is archived, count the backlog; about once a second.

        Raises:
            LiucunError: the catalogue or the disk refuses.
        """
        with self._disk:
            if self._file.mark.lines and self._file.age > self._limits.rotate_minutes * 60:
                self._end_file()
            try:
                self._delete()
            except OSError as error:
                raise _refusal("The journal could not be tidied", error) from error

    def _delete(self) -> None:
        files = journal_files(self.folder)
        cursors = self._archived([path.stem for path in files])
        backlog, oldest = 0, None
        for path in files:
            active = path == self._file.path
            mark = self._file.mark if active else read_mark(path)
            if not active and not mark.closed and mark.stored == path.stat().st_size:
                close_mark(path, mark)  # which failed when it was to be closed
            left = mark.lines - cursors.get(path.stem, 0)
            if left > 0:
                backlog += left
                oldest = oldest or path.stat().st_mtime
            elif not active and mark.closed:
                delete_archived(path, self._keys)
                self.figures.deleted += 1
        self.figures.backlog, self.figures.oldest = backlog, oldest
        self._keys.expire(_micros())
        delete_old_keys(self.folder, self._keys)

    def close(self) -> None:
        """Answer whoever waits, close the file and let another process write."""
        with self._room:
            self._stop = True
            self._room.notify()
        self._thread.join()
        with self._disk:
            self._end_file()
        if self._lock_handle >= 0:
            os.close(self._lock_handle)
            self._lock_handle = -1


def _micros() -> int:
    return time.time_ns() // 1000


def _broken(folder: Path) -> StorageError:
    return IntakeFullError(f"The journal {folder} failed.", cure="Nothing was kept; look into the log, send it again.")


def _refusal(what: str, error: OSError) -> IntakeFullError:
    return IntakeFullError(
        f"{what}: {error.strerror or error}.", cure="Nothing was kept; check the disk, then send the same again."
    )
