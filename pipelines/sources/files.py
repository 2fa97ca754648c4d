"""The file source: follows files by their content, plans ranges of whole records, and persists them before use.

Offsets of a partition are (uncompressed) bytes of its file; which partition a file is, followed_files.py decides.
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
from pipelines.sources.caution import Caution
from pipelines.sources.followed_files import FollowedFiles
from pipelines.sources.identity import digest
from pipelines.sources.parts import split
from pipelines.sources.problems import SourceProblem
from pipelines.sources.reading import UnreadableError
from pipelines.sources.spec import SourceSpec
from pipelines.sources.tail import Tail
from retention.catalogue import events, progress
from retention.catalogue.engine import Catalogue
from retention.catalogue.failures import ConflictError, LostCommitError
from retention.catalogue.progress import PlannedRange

RESCAN_SECONDS: Final = 0.5
CONTENTION_SECONDS: Final = 60.0
"""How long a collector goes on looking while others are quicker."""


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
        self._files = FollowedFiles(spec, catalogue, follow=follow)
        self._caution = Caution(spec, catalogue)
        self._replay: list[PlannedRange] | None = None
        self._put_off = False
        self._cursors: dict[str, int] = {}
        """Where the partitions stood of which an earlier run left planned ranges."""
        self._late: set[str] = set()
        """Those of them that were not taken up yet."""
        self._lost: list[SourceProblem] = []

    @property
    def problems(self) -> list[SourceProblem]:
        """What could not be read at the last look, and what was lost."""
        return [
            *self._lost,
            *self._caution.problems,
            *(self._files.problems[path] for path in sorted(self._files.problems)),
        ]

    def lag(self) -> int:
        """Bytes known and not planned."""
        return sum(tail.waiting() for tail in self._files.tails.values())

    def lags(self) -> dict[str, int]:
        """Bytes known and not planned, by partition."""
        return {name: tail.waiting() for name, tail in self._files.tails.items()}

    def done(self) -> bool:
        """Whether everything known is planned; never so while following."""
        return not self._follow and self._replay == [] and all(tail.ended for tail in self._files.tails.values())

    @property
    def waiting(self) -> bool:
        """Whether a file is put off for a while, because workers died over its next record."""
        return bool(self._late)

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
        if self._replay is None or (self._follow and time.monotonic() - self._files.scanned >= RESCAN_SECONDS):
            self._scan()
        if self._replay and (found := self._next_replayed(max_bytes)):
            return found
        # What is late stays planned: the rest of its file waits for it, other files do not.
        return self._next_new(max_bytes)

    def close(self) -> None:
        """Give every file back."""
        self._forget()

    def _forget(self) -> None:
        self._files.forget()
        self._replay = None
        self._put_off = False

    def _scan(self) -> None:
        self._files.scan()
        if self._replay is None or self._put_off:
            self._put_off = False
            with self._catalogue.read() as connection:
                self._replay = progress.unfinished(connection, self.spec.name)
                cursors = {p.partition: p.cursor for p in progress.partitions(connection, self.spec.name)}
            self._cursors = {item.partition: cursors[item.partition] for item in self._replay}
            self._late = set(self._cursors)

    def _next_replayed(self, max_bytes: int) -> list[RawBatch]:
        assert self._replay is not None
        found: list[RawBatch] = []
        size = 0
        for name in [name for name in self._late if self._caution.due(name)]:
            if self._caution.take_up(name, self._cursors[name]):
                self._late.discard(name)
        while size < max_bytes:
            item = next((item for item in self._replay if item.partition not in self._late), None)
            if item is None:
                break
            self._replay.remove(item)
            try:
                raw = self._read_again(item)
            except UnreadableError as error:
                self._put_off_replay(item, error)
                continue
            if raw is None:
                self._give_up(item)
            else:
                found.append(raw)
                size += len(raw.data)
        return self._caution.guarded(found)

    def _put_off_replay(self, item: PlannedRange, error: UnreadableError) -> None:
        """The file is there and cannot be read at present: what was planned of it is not lost, and nothing follows."""
        if (tail := self._files.tails.get(item.partition)) is not None:
            self._files.problem(tail.file.path, str(error))
        self._files.drop(item.partition)
        self._leave_out(item.partition)
        self._put_off = True

    def _leave_out(self, partition: str) -> list[PlannedRange]:
        """Take a partition's ranges out of what is to be read again, and return them."""
        assert self._replay is not None
        out = [item for item in self._replay if item.partition == partition]
        self._replay = [item for item in self._replay if item.partition != partition]
        return out

    def _read_again(self, item: PlannedRange) -> RawBatch | None:
        """The batch of a planned range; None if its bytes are gone. Raises ``UnreadableError``."""
        tail = self._files.tails.get(item.partition)
        if tail is None:
            if item.partition in self._files.unreadable:
                raise UnreadableError("it cannot be read")
            return None
        with self._catalogue.read() as connection:
            ranges = progress.ranges(connection, self.spec.name, item.partition)
        before = next((r for r in reversed(ranges) if r.end == item.start), None)
        data = tail.open().read(item.start, item.end - item.start)
        if digest(data) != item.digest:
            return None
        replayed = Tail(self.spec, item.partition, tail.file, reader=tail.open())
        if before is not None:
            replayed.advance(before, tail.open().read(item.start - 1, 1))
        raw = replayed.raw(item, data)
        cursor = self._cursors.get(item.partition, 0)
        # The part before the cursor was committed alone, under suspicion.
        return split(raw, self.spec, cursor)[1] if item.start < cursor < item.end else raw

    def _give_up(self, item: PlannedRange) -> None:
        """Planned bytes are gone before they were archived: said aloud, and on record, with all that follow."""
        end = max(other.end for other in (item, *self._leave_out(item.partition)))
        with self._catalogue.write() as connection:
            progress.discard(connection, item)
            events.append(
                connection,
                kind="source.lost",
                actor="system:files",
                subject=f"partition:{item.partition}",
                body={"source": item.source, "start": item.start, "end": end},
            )
        self._files.drop(item.partition)
        self._lost.append(
            SourceProblem(
                item.partition,
                f"bytes {item.start} to {end} had been planned and are gone or changed: they were never archived",
            )
        )

    def _next_new(self, max_bytes: int) -> list[RawBatch]:
        planned: list[PlannedRange] = []
        batches: list[RawBatch] = []
        hints: dict[str, str] = {}
        size = 0
        for tail in [t for t in self._files.tails.values() if not t.ended and t.partition not in self._late]:
            while size < max_bytes and not tail.ended:
                step = self._step(tail)
                if step is None:
                    break
                planned.append(step[0])
                if self._follow and not tail.ended:
                    hints[tail.partition] = _looks(tail)
                batches.append(step[1])
                size += len(step[1].data)
            if tail.ended:
                hints.update(self._ended(tail))
            if size >= max_bytes:
                if self._follow and not tail.ended:
                    # One that is written faster than it is read must not keep the others waiting for ever.
                    self._files.tails[tail.partition] = self._files.tails.pop(tail.partition)
                break
        if planned or hints:
            with self._catalogue.write() as connection:
                progress.plan(connection, planned)
                for partition, hint in hints.items():
                    progress.hint_partition(connection, self.spec.name, partition, hint)
        self._files.limit_open()
        return batches

    def _step(self, tail: Tail) -> tuple[PlannedRange, RawBatch] | None:
        try:
            step = tail.next_range(self._batch_bytes, follow=self._follow)
        except UnreadableError as error:
            self._files.problem(tail.file.path, str(error))
            tail.close()
            tail.ended = True
            return None
        if tail.reader is not None and tail.reader.problem:
            self._files.problem(tail.file.path, tail.reader.problem)
        return step

    def _ended(self, tail: Tail) -> Iterable[tuple[str, str]]:
        """Close a file that has nothing more, and remember how it looked if it did not change meanwhile."""
        tail.close()
        if tail.rotated:
            self._files.tails.pop(tail.partition, None)
            return
        try:
            status = os.stat(tail.file.path)
        except OSError:
            return
        if (status.st_size, status.st_mtime_ns, status.st_ino) == (tail.file.size, tail.file.modified, tail.file.inode):
            yield tail.partition, tail.file.hint


def _looks(tail: Tail) -> str:
    """How a file that is being read would look if nothing more came to it: known again by it after a rename."""
    size = -1 if tail.file.compressed else tail.planned
    return f"{tail.file.device}:{tail.file.inode}:{size}:{tail.file.modified}"
