"""The files of a source, each with the partition that it is: looked for, recognised by their content, taken up.

A partition is ``path#generation``. The same path with the same beginning goes on, whatever the inode; another beginning
is a new generation; a new path inherits a partition only when the partition's own file is gone or replaced and the new
file begins with all that was planned of it (docs/sources.md).
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from pipelines.sources.copies import Copies
from pipelines.sources.discovery import FoundFile, find_files
from pipelines.sources.identity import SMALL, holds_rest, matches, prefix_digests
from pipelines.sources.problems import SourceProblem
from pipelines.sources.reading import UnreadableError, open_reader
from pipelines.sources.spec import SourceSpec
from pipelines.sources.tail import Tail
from retention.catalogue import progress
from retention.catalogue.engine import Catalogue
from retention.catalogue.progress import Partition

OPEN_FILES: Final = 256


class FollowedFiles:
    """``tails`` holds what is being read, by partition; ``problems`` what could not be, by path; one thread at a time.

    ``unreadable`` names partitions whose file is there and cannot be read at present. ``scanned`` is when the files
    were last looked for, by the monotonic clock.
    """

    def __init__(self, spec: SourceSpec, catalogue: Catalogue, *, follow: bool = False) -> None:
        self.tails: dict[str, Tail] = {}
        self.problems: dict[str, SourceProblem] = {}
        self.unreadable: set[str] = set()
        self.scanned = 0.0
        self._spec = spec
        self._catalogue = catalogue
        self._copies = Copies(follow=follow)
        self._firsts: dict[tuple[int, str], list[str]] | None = None

    def scan(self) -> None:
        """Look for the source's files, and take up those that are new, renamed, rotated or begun anew.

        Raises:
            ConflictError, sqlalchemy.exc.IntegrityError: another collector entered one of them first.
            LostCommitError, StorageError, UnreachableError: the catalogue cannot be used.
        """
        found, problems = find_files(self._spec.paths)
        self.problems = {problem.path: problem for problem in problems}
        self.unreadable = set()
        self._firsts = None
        self.scanned = time.monotonic()
        paths = {file.path for file in found}
        self._mark_rotated(paths)
        known = _Known(self._partitions())
        reading = {tail.file.path: tail for tail in self.tails.values() if not tail.rotated}
        fresh = [file for file in found if not self._goes_on(file, reading.get(file.path), known)]
        owned = {tail.partition for tail in self.tails.values() if not tail.rotated} | self.unreadable
        gone = {item.partition: item for item in known.partitions if item.planned and item.partition not in owned}
        self._copies.look(paths, [tail for tail in self.tails.values() if not tail.rotated])
        for file in fresh:
            self._take_up(file, gone, known)

    def forget(self) -> None:
        """Give every file back; the next ``scan`` takes them up from the catalogue."""
        for tail in self.tails.values():
            tail.close()
        self.tails.clear()

    def drop(self, partition: str) -> None:
        """Read a partition no more, until a ``scan`` takes it up again."""
        if (tail := self.tails.pop(partition, None)) is not None:
            tail.close()

    def limit_open(self) -> None:
        """Close those beyond ``OPEN_FILES``, the longest known first; rotated ones stay open."""
        open_tails = [tail for tail in self.tails.values() if tail.reader is not None and not tail.rotated]
        for tail in open_tails[:-OPEN_FILES]:
            tail.close()

    def problem(self, path: str, what: str) -> None:
        """Note what keeps a path from being read."""
        self.problems[path] = SourceProblem(path, what)

    def _partitions(self) -> list[Partition]:
        with self._catalogue.read() as connection:
            return progress.partitions(connection, self._spec.name)

    def _goes_on(self, file: FoundFile, tail: Tail | None, known: _Known) -> bool:
        """Whether the file under a known path is still the one that is read there, or that its newest partition was."""
        if tail is not None:
            if self._still(tail, file):
                return True
            # Truncated or rewritten in place: what the open file shows now is no part of this partition.
            self.drop(tail.partition)
            return False
        newest = known.newest.get(shown_path(file.path))
        if newest is None:
            return False
        before = self.tails.get(newest.partition)
        if before is None and newest.hint == file.hint and newest.cursor == newest.planned:
            self.tails[newest.partition] = Tail(self._spec, newest.partition, file, newest.planned, ended=True)
            return True
        try:
            if not self._replaces(newest, file):
                return False
        except UnreadableError as error:
            self._unreadable(newest.partition, file, error)
            return True
        return self._resume(newest.partition, file)

    def _still(self, tail: Tail, file: FoundFile) -> bool:
        """Whether a file that is being followed is still the same; cheap while nothing changes."""
        if file.hint == tail.file.hint:
            return True
        same_file = (file.device, file.inode) == (tail.file.device, tail.file.inode)
        if file.compressed or not same_file or (tail.planned and not tail.seen_before):
            return self._resume(tail.partition, file)
        try:
            if tail.truncated():
                return False
        except UnreadableError as error:
            self.problem(file.path, str(error))
            return True
        tail.file, tail.ended = file, False
        return True

    def _resume(self, partition: str, file: FoundFile) -> bool:
        """Take a partition up from the catalogue if the file begins with what was planned of it."""
        with self._catalogue.read() as connection:
            ranges = progress.ranges(connection, self._spec.name, partition)
        tail = Tail(self._spec, partition, file)
        try:
            if not matches(tail.open(), ranges):
                tail.close()
                return False
            if ranges:
                size = min(4 << 10, ranges[-1].end - ranges[-1].start)
                tail.advance(ranges[-1], tail.open().read(ranges[-1].end - size, size))
        except UnreadableError as error:
            tail.close()
            self._unreadable(partition, file, error)
            return True
        self.drop(partition)
        self.tails[partition] = tail
        self.limit_open()
        return True

    def _unreadable(self, partition: str, file: FoundFile, error: UnreadableError) -> None:
        self.problem(file.path, str(error))
        if partition not in self.tails:
            self.unreadable.add(partition)

    def _take_up(self, file: FoundFile, gone: dict[str, Partition], known: _Known) -> None:
        """A file under a new path, or with a new beginning: one that was renamed, or a new partition."""
        if not file.size:
            return
        try:
            inherited = self._inherit(file, gone)
            copied = None if inherited is not None else self._copies.original(file)
        except UnreadableError as error:
            self.problem(file.path, str(error))
            return
        if copied is not None:
            if file.compressed:
                self.problem(file.path, f"holds what {shown_path(copied)} does, and is read when that is gone")
            return
        shown = shown_path(file.path)
        if inherited is not None:
            del gone[inherited.partition]
            with self._catalogue.write() as connection:
                progress.move_partition(connection, source=self._spec.name, partition=inherited.partition, path=shown)
            if self._resume(inherited.partition, file):
                return
        generation = known.generations.get(shown, 0) + 1
        partition = f"{shown}#{generation}"
        with self._catalogue.write() as connection:
            progress.add_partition(
                connection, source=self._spec.name, partition=partition, path=shown, generation=generation
            )
        self.tails[partition] = Tail(self._spec, partition, file)

    def _inherit(self, file: FoundFile, gone: dict[str, Partition]) -> Partition | None:
        """The longest partition without a file of its own whose planned bytes this file begins with."""
        if not gone:
            return None
        firsts = self._first_ranges(gone)
        reader = open_reader(file.path)
        try:
            # First ranges of all candidates in one pass; only where one fits is the rest compared.
            begins = prefix_digests(reader, (end for end, _ in firsts)).items()
            fitting = [gone[name] for begin in begins for name in firsts.get(begin, ()) if name in gone]
            for item in sorted(fitting, key=lambda item: -item.planned):
                if not self._tells(item, file) or not self._replaces(item, file):
                    continue
                with self._catalogue.read() as connection:
                    ranges = progress.ranges(connection, self._spec.name, item.partition)
                if matches(reader, ranges):
                    return item
        finally:
            reader.close()
        return None

    def _first_ranges(self, gone: Collection[str]) -> Mapping[tuple[int, str], Sequence[str]]:
        """Ends and digests of first ranges, with their partitions among those that were gone at the last look."""
        if self._firsts is None:
            self._firsts = {}
            with self._catalogue.read() as connection:
                found = progress.first_ranges(connection, self._spec.name)
            for item in found:
                if item.partition in gone:
                    self._firsts.setdefault((item.end, item.digest), []).append(item.partition)
        return self._firsts

    def _tells(self, partition: Partition, file: FoundFile) -> bool:
        """Whether so short a beginning can be trusted: same inode, same time of change, or nothing beyond it."""
        if partition.planned >= SMALL or file.size == partition.planned:
            return True
        if (before := self.tails.get(partition.partition)) is not None and _same(before, file):
            return True
        device, inode, _, modified = (partition.hint or ":::").split(":")
        return f"{file.device}:{file.inode}" == f"{device}:{inode}" or str(file.modified) == modified

    def _replaces(self, partition: Partition, file: FoundFile) -> bool:
        """Whether a file may go on for one that left its path and is still open: it holds what that has still to give.

        Raises:
            UnreadableError: one of them cannot be read.
        """
        before = self.tails.get(partition.partition)
        if before is None or before.reader is None or _same(before, file):
            return True
        if partition.planned < SMALL and before.reader.links():
            return False  # it was moved elsewhere: what begins like it at its path is the next one
        reader = open_reader(file.path)
        try:
            return holds_rest(before.reader, reader, before.planned)
        finally:
            reader.close()

    def _mark_rotated(self, paths: set[str]) -> None:
        """Files that no longer stand under their path give what they still hold, if they are open."""
        for name, tail in list(self.tails.items()):
            try:
                status = os.stat(tail.file.path) if tail.file.path in paths else None
            except OSError:
                status = None
            if status is not None and (status.st_dev, status.st_ino) == (tail.file.device, tail.file.inode):
                continue
            if tail.reader is None:
                if status is None:
                    del self.tails[name]
            elif not tail.rotated and tail.cut_short():
                self.drop(name)  # before it left: what the open file holds now is no part of this partition
            else:
                tail.leave_path()


class _Known:
    """What the catalogue has of a source, to be looked up by path.

    ``newest``: the newest partition under each path; ``generations``: the last one of each path that partitions began
    under.
    """

    def __init__(self, partitions: list[Partition]) -> None:
        self.partitions = partitions
        self.newest = {item.path: item for item in partitions}  # they come by path and generation
        self.generations: dict[str, int] = {}
        for item in partitions:
            began = item.partition.rpartition("#")[0]
            self.generations[began] = max(self.generations.get(began, 0), item.generation)


def shown_path(path: str) -> str:
    """A path as text that every database stores: bytes that are no UTF-8 are written as ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _same(tail: Tail, file: FoundFile) -> bool:
    return (file.device, file.inode) == (tail.file.device, tail.file.inode)
