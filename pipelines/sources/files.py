"""The file source: follows files by their content, plans ranges of whole records, and persists them before use.

A partition is ``path#generation``; its offsets are (uncompressed) bytes. The same path
with the same beginning goes on, whatever the inode; another beginning is a new
generation; a new path inherits a partition only when the partition's own file is gone
or replaced and the new file begins with all that was planned of it (docs/sources.md).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable
from typing import Final

import sqlalchemy.exc

from errors import BusyError
from pipelines.batches import RawBatch
from pipelines.sources.discovery import FoundFile, find_files
from pipelines.sources.identity import digest, matches, prefix_digests
from pipelines.sources.problems import SourceProblem
from pipelines.sources.reading import UnreadableError, open_reader
from pipelines.sources.spec import SourceSpec
from pipelines.sources.tail import Tail
from retention.catalogue import events, progress
from retention.catalogue.engine import Catalogue
from retention.catalogue.failures import ConflictError, LostCommitError
from retention.catalogue.progress import Partition, PlannedRange

RESCAN_SECONDS: Final = 0.5
OPEN_FILES: Final = 256
CONTENTION_SECONDS: Final = 60.0
"""How long a collector goes on looking while others are quicker."""
SMALL: Final = 1 << 10
"""A beginning shorter than this says too little to recognise a renamed file by it alone."""


class FileSource:
    """Plans the batches of one declared source; one thread at a time.

    ``problems`` holds what could not be read, one entry a path.
    """

    def __init__(
        self, spec: SourceSpec, catalogue: Catalogue, *, follow: bool = False, batch_bytes: int = 8 << 20
    ) -> None:
        self.spec = spec
        self._catalogue = catalogue
        self._follow = follow
        self._batch_bytes = batch_bytes
        self._tails: dict[str, Tail] = {}
        self._replay: list[PlannedRange] | None = None
        self._scanned = 0.0
        self._problems: dict[str, SourceProblem] = {}
        self._lost: list[SourceProblem] = []

    @property
    def problems(self) -> list[SourceProblem]:
        """What could not be read at the last look, and what was lost."""
        return [*self._lost, *(self._problems[path] for path in sorted(self._problems))]

    def lag(self) -> int:
        """Bytes known and not planned."""
        return sum(tail.waiting() for tail in self._tails.values())

    def lags(self) -> dict[str, int]:
        """Bytes known and not planned, by partition."""
        return {name: tail.waiting() for name, tail in self._tails.items()}

    def done(self) -> bool:
        """Whether everything known is planned; never so while following."""
        return not self._follow and self._replay == [] and all(tail.ended for tail in self._tails.values())

    def plan(self, max_bytes: int) -> list[RawBatch]:
        """Return the next batches, of about ``max_bytes`` together, each persisted as a planned range.

        What an earlier run planned and did not commit comes first, exactly as it was.

        Raises:
            BusyError: other collectors were quicker again and again.
            UnreachableError: the catalogue's server stayed away.
            StorageError: the catalogue cannot be used.
        """
        until = time.monotonic() + CONTENTION_SECONDS
        while True:
            try:
                return self._plan(max_bytes)
            except LostCommitError:
                # The plan may have been kept or not: look again, and take it up if it was.
                self._forget()
                if time.monotonic() > until:
                    raise
            except (sqlalchemy.exc.IntegrityError, ConflictError) as error:
                # Another collector entered or planned the same files first: look again, and take up its plan.
                self._forget()
                if time.monotonic() > until:
                    raise BusyError(
                        f"Other collectors are always quicker at the files of {self.spec.name!r}.",
                        cure="Nothing was lost; run again, or let fewer collectors share these files.",
                    ) from error
            time.sleep(random.uniform(0.0, 0.05))

    def _plan(self, max_bytes: int) -> list[RawBatch]:
        if self._replay is None or (self._follow and time.monotonic() - self._scanned >= RESCAN_SECONDS):
            self._scan()
        if self._replay:
            return self._next_replayed(max_bytes)
        return self._next_new(max_bytes)

    def close(self) -> None:
        """Give every file back."""
        self._forget()

    def _forget(self) -> None:
        for tail in self._tails.values():
            tail.close()
        self._tails.clear()
        self._replay = None

    # What is there, and which partition is it?

    def _scan(self) -> None:
        found, problems = find_files(self.spec.paths)
        self._problems = {problem.path: problem for problem in problems}
        self._scanned = time.monotonic()
        self._mark_rotated({file.path for file in found})
        known = self._known()
        fresh = [file for file in found if not self._goes_on(file, known)]
        owned = {tail.partition for tail in self._tails.values() if not tail.rotated}
        gone = [partition for partition in known.values() if partition.partition not in owned]
        for file in fresh:
            self._take_up(file, gone, known)
        if self._replay is None:
            with self._catalogue.read() as connection:
                self._replay = progress.unfinished(connection, self.spec.name)

    def _known(self) -> dict[str, Partition]:
        with self._catalogue.read() as connection:
            return {item.partition: item for item in progress.partitions(connection, self.spec.name)}

    def _goes_on(self, file: FoundFile, known: dict[str, Partition]) -> bool:
        """Whether the file under a known path is still the one that its newest partition was read from."""
        shown = shown_path(file.path)
        newest = max((p for p in known.values() if p.path == shown), key=lambda p: p.generation, default=None)
        if newest is None:
            return False
        tail = self._tails.get(newest.partition)
        if tail is not None and not tail.rotated:
            if self._still(tail, file):
                return True
            # Truncated or rewritten in place: what the open file shows now is no part of this partition.
            tail.close()
            del self._tails[newest.partition]
            return False
        if newest.hint == file.hint and newest.cursor == newest.planned:
            self._tails[newest.partition] = Tail(self.spec, newest.partition, file, newest.planned, ended=True)
            return True
        return self._resume(newest, file)

    def _still(self, tail: Tail, file: FoundFile) -> bool:
        """Whether a file that is being followed is still the same; cheap while nothing changes."""
        if file.hint == tail.file.hint:
            return True
        same_file = (file.device, file.inode) == (tail.file.device, tail.file.inode)
        try:
            if file.compressed or not same_file:
                tail_again = Tail(self.spec, tail.partition, file, tail.planned, tail.closed_range)
                tail_again.seen_before = tail.seen_before
                if same_file or tail_again.open().length() >= tail.planned:
                    with self._catalogue.read() as connection:
                        ranges = progress.ranges(connection, self.spec.name, tail.partition)
                    if matches(tail_again.open(), ranges):
                        tail.close()
                        self._tails[tail.partition] = tail_again
                        return True
                tail_again.close()
                return False
            if file.size < tail.planned or tail.truncated():
                return False
        except UnreadableError as error:
            self._problem(file.path, str(error))
            return True
        tail.file, tail.ended = file, False
        return True

    def _resume(self, partition: Partition, file: FoundFile) -> bool:
        """Take a partition up from the catalogue if the file begins with what was planned of it."""
        with self._catalogue.read() as connection:
            ranges = progress.ranges(connection, self.spec.name, partition.partition)
        tail = Tail(self.spec, partition.partition, file)
        try:
            if not matches(tail.open(), ranges):
                tail.close()
                return False
            if ranges:
                size = min(4 << 10, ranges[-1].end - ranges[-1].start)
                tail.advance(ranges[-1], tail.open().read(ranges[-1].end - size, size))
        except UnreadableError as error:
            tail.close()
            self._problem(file.path, str(error))
            return True
        self._tails[partition.partition] = tail
        self._limit_open()
        return True

    def _take_up(self, file: FoundFile, gone: list[Partition], known: dict[str, Partition]) -> None:
        """A file under a new path, or with a new beginning: one that was renamed, or a new partition."""
        if not file.size:
            return
        try:
            inherited = self._inherit(file, gone)
        except UnreadableError as error:
            self._problem(file.path, str(error))
            return
        shown = shown_path(file.path)
        if inherited is not None:
            gone.remove(inherited)
            old = self._tails.pop(inherited.partition, None)
            if old is not None:
                old.close()
            with self._catalogue.write() as connection:
                progress.move_partition(connection, source=self.spec.name, partition=inherited.partition, path=shown)
            if self._resume(inherited, file):
                return
        generation = 1 + max((p.generation for p in known.values() if _original(p) == shown), default=0)
        partition = f"{shown}#{generation}"
        with self._catalogue.write() as connection:
            progress.add_partition(
                connection, source=self.spec.name, partition=partition, path=shown, generation=generation
            )
        self._tails[partition] = Tail(self.spec, partition, file)

    def _inherit(self, file: FoundFile, gone: list[Partition]) -> Partition | None:
        """The longest partition without a file of its own whose planned bytes this file begins with."""
        candidates = {item.partition: item for item in gone if item.planned}
        if not candidates:
            return None
        with self._catalogue.read() as connection:
            ranges = {name: progress.ranges(connection, self.spec.name, name) for name in candidates}
        reader = open_reader(file.path)
        try:
            # First ranges of all candidates in one pass; only where one fits is the rest compared.
            begins = prefix_digests(reader, (parts[0].end for parts in ranges.values()))
            fitting = [n for n, parts in ranges.items() if begins.get(parts[0].end) == parts[0].digest]
            for name in sorted(fitting, key=lambda n: -candidates[n].planned):
                if self._tells(candidates[name], file) and matches(reader, ranges[name]):
                    return candidates[name]
        finally:
            reader.close()
        return None

    @staticmethod
    def _tells(partition: Partition, file: FoundFile) -> bool:
        """Whether so short a beginning can be trusted: same inode, same time of change, or nothing beyond it."""
        if partition.planned >= SMALL or file.size == partition.planned:
            return True
        device, inode, _, modified = (partition.hint or ":::").split(":")
        return f"{file.device}:{file.inode}" == f"{device}:{inode}" or str(file.modified) == modified

    def _mark_rotated(self, paths: set[str]) -> None:
        """Files that no longer stand under their path give what they still hold, if they are open."""
        for name, tail in list(self._tails.items()):
            try:
                status = os.stat(tail.file.path) if tail.file.path in paths else None
            except OSError:
                status = None
            if status is not None and (status.st_dev, status.st_ino) == (tail.file.device, tail.file.inode):
                continue
            if tail.reader is None:
                if status is None:
                    del self._tails[name]
                continue
            tail.rotated = True

    # What is to be read next?

    def _next_replayed(self, max_bytes: int) -> list[RawBatch]:
        assert self._replay is not None
        found: list[RawBatch] = []
        size = 0
        while self._replay and size < max_bytes:
            item = self._replay.pop(0)
            raw = self._read_again(item)
            if raw is None:
                self._give_up(item)
                self._replay = [r for r in self._replay if r.partition != item.partition]
            else:
                found.append(raw)
                size += len(raw.data)
        return found

    def _read_again(self, item: PlannedRange) -> RawBatch | None:
        tail = self._tails.get(item.partition)
        if tail is None:
            return None
        with self._catalogue.read() as connection:
            ranges = progress.ranges(connection, self.spec.name, item.partition)
        before = next((r for r in reversed(ranges) if r.end == item.start), None)
        try:
            data = tail.open().read(item.start, item.end - item.start)
            if digest(data) != item.digest:
                return None
            replayed = Tail(self.spec, item.partition, tail.file, reader=tail.open())
            if before is not None:
                replayed.advance(before, tail.open().read(item.start - 1, 1))
            return replayed.raw(item, data)
        except UnreadableError as error:
            self._problem(tail.file.path, str(error))
            return None

    def _give_up(self, item: PlannedRange) -> None:
        """A range was planned, its bytes are gone before they were archived: said aloud, and on record."""
        with self._catalogue.write() as connection:
            progress.discard(connection, item)
            events.append(
                connection,
                kind="source.lost",
                actor="system:files",
                subject=f"partition:{item.partition}",
                body={"source": item.source, "start": item.start, "end": item.end},
            )
        self._tails.pop(item.partition, None)
        self._lost.append(
            SourceProblem(
                item.partition,
                f"bytes {item.start} to {item.end} had been planned and are gone or changed: they were never archived",
            )
        )

    def _next_new(self, max_bytes: int) -> list[RawBatch]:
        planned: list[PlannedRange] = []
        batches: list[RawBatch] = []
        hints: list[tuple[str, str]] = []
        size = 0
        for tail in [tail for tail in self._tails.values() if not tail.ended]:
            while size < max_bytes and not tail.ended:
                step = self._step(tail)
                if step is None:
                    break
                planned.append(step[0])
                batches.append(step[1])
                size += len(step[1].data)
            if tail.ended:
                hints += self._ended(tail)
            if size >= max_bytes:
                break
        if planned or hints:
            with self._catalogue.write() as connection:
                progress.plan(connection, planned)
                for partition, hint in hints:
                    progress.hint_partition(connection, self.spec.name, partition, hint)
        self._limit_open()
        return batches

    def _step(self, tail: Tail) -> tuple[PlannedRange, RawBatch] | None:
        try:
            step = tail.next_range(self._batch_bytes, follow=self._follow)
        except UnreadableError as error:
            self._problem(tail.file.path, str(error))
            tail.close()
            tail.ended = True
            return None
        if tail.reader is not None and tail.reader.problem:
            self._problem(tail.file.path, tail.reader.problem)
        return step

    def _ended(self, tail: Tail) -> Iterable[tuple[str, str]]:
        """Close a file that has nothing more, and remember how it looked if it did not change meanwhile."""
        tail.close()
        if tail.rotated:
            self._tails.pop(tail.partition, None)
            return
        try:
            status = os.stat(tail.file.path)
        except OSError:
            return
        if (status.st_size, status.st_mtime_ns, status.st_ino) == (tail.file.size, tail.file.modified, tail.file.inode):
            yield tail.partition, tail.file.hint

    def _limit_open(self) -> None:
        open_tails = [tail for tail in self._tails.values() if tail.reader is not None and not tail.rotated]
        for tail in open_tails[:-OPEN_FILES]:
            tail.close()

    def _problem(self, path: str, what: str) -> None:
        self._problems[path] = SourceProblem(path, what)


def shown_path(path: str) -> str:
    """A path as text that every database stores: bytes that are no UTF-8 are written as ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _original(partition: Partition) -> str:
    return partition.partition.rpartition("#")[0]
