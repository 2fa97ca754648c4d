"""The files of a source, each with the partition that it is: looked for, recognised by their content, taken up.

A partition is ``path#generation``. The same path with the same beginning goes on, whatever the inode; another beginning
is a new generation; a new path inherits a partition only when the partition's own file is gone or replaced and the new
file begins with all that was planned of it (docs/sources.md).
"""

from __future__ import annotations

import os
import time
from typing import Final

from pipelines.sources.discovery import FoundFile, find_files
from pipelines.sources.identity import matches, prefix_digests
from pipelines.sources.problems import SourceProblem
from pipelines.sources.reading import UnreadableError, open_reader
from pipelines.sources.spec import SourceSpec
from pipelines.sources.tail import Tail
from retention.catalogue import progress
from retention.catalogue.engine import Catalogue
from retention.catalogue.progress import Partition

OPEN_FILES: Final = 256
SMALL: Final = 1 << 10
"""A beginning shorter than this says too little to recognise a renamed file by it alone."""


class FollowedFiles:
    """``tails`` holds what is being read, by partition; ``problems`` what could not be, by path; one thread at a time.

    ``scanned`` is when the files were last looked for, by the monotonic clock.
    """

    def __init__(self, spec: SourceSpec, catalogue: Catalogue) -> None:
        self.tails: dict[str, Tail] = {}
        self.problems: dict[str, SourceProblem] = {}
        self.scanned = 0.0
        self._spec = spec
        self._catalogue = catalogue

    def scan(self) -> None:
        """Look for the source's files, and take up those that are new, renamed, rotated or begun anew.

        Raises:
            ConflictError, sqlalchemy.exc.IntegrityError: another collector entered one of them first.
            LostCommitError, StorageError, UnreachableError: the catalogue cannot be used.
        """
        found, problems = find_files(self._spec.paths)
        self.problems = {problem.path: problem for problem in problems}
        self.scanned = time.monotonic()
        self._mark_rotated({file.path for file in found})
        known = self._known()
        fresh = [file for file in found if not self._goes_on(file, known)]
        owned = {tail.partition for tail in self.tails.values() if not tail.rotated}
        gone = [partition for partition in known.values() if partition.partition not in owned]
        for file in fresh:
            self._take_up(file, gone, known)

    def forget(self) -> None:
        """Give every file back; the next ``scan`` takes them up from the catalogue."""
        for tail in self.tails.values():
            tail.close()
        self.tails.clear()

    def limit_open(self) -> None:
        """Close those beyond ``OPEN_FILES``, the longest known first; rotated ones stay open."""
        open_tails = [tail for tail in self.tails.values() if tail.reader is not None and not tail.rotated]
        for tail in open_tails[:-OPEN_FILES]:
            tail.close()

    def problem(self, path: str, what: str) -> None:
        """Note what keeps a path from being read."""
        self.problems[path] = SourceProblem(path, what)

    def _known(self) -> dict[str, Partition]:
        with self._catalogue.read() as connection:
            return {item.partition: item for item in progress.partitions(connection, self._spec.name)}

    def _goes_on(self, file: FoundFile, known: dict[str, Partition]) -> bool:
        """Whether the file under a known path is still the one that its newest partition was read from."""
        shown = shown_path(file.path)
        newest = max((p for p in known.values() if p.path == shown), key=lambda p: p.generation, default=None)
        if newest is None:
            return False
        tail = self.tails.get(newest.partition)
        if tail is not None and not tail.rotated:
            if self._still(tail, file):
                return True
            # Truncated or rewritten in place: what the open file shows now is no part of this partition.
            tail.close()
            del self.tails[newest.partition]
            return False
        if newest.hint == file.hint and newest.cursor == newest.planned:
            self.tails[newest.partition] = Tail(self._spec, newest.partition, file, newest.planned, ended=True)
            return True
        return self._resume(newest, file)

    def _still(self, tail: Tail, file: FoundFile) -> bool:
        """Whether a file that is being followed is still the same; cheap while nothing changes."""
        if file.hint == tail.file.hint:
            return True
        same_file = (file.device, file.inode) == (tail.file.device, tail.file.inode)
        try:
            if file.compressed or not same_file:
                tail_again = Tail(self._spec, tail.partition, file, tail.planned, tail.closed_range)
                tail_again.seen_before = tail.seen_before
                if same_file or tail_again.open().length() >= tail.planned:
                    with self._catalogue.read() as connection:
                        ranges = progress.ranges(connection, self._spec.name, tail.partition)
                    if matches(tail_again.open(), ranges):
                        tail.close()
                        self.tails[tail.partition] = tail_again
                        return True
                tail_again.close()
                return False
            if file.size < tail.planned or tail.truncated():
                return False
        except UnreadableError as error:
            self.problem(file.path, str(error))
            return True
        tail.file, tail.ended = file, False
        return True

    def _resume(self, partition: Partition, file: FoundFile) -> bool:
        """Take a partition up from the catalogue if the file begins with what was planned of it."""
        with self._catalogue.read() as connection:
            ranges = progress.ranges(connection, self._spec.name, partition.partition)
        tail = Tail(self._spec, partition.partition, file)
        try:
            if not matches(tail.open(), ranges):
                tail.close()
                return False
            if ranges:
                size = min(4 << 10, ranges[-1].end - ranges[-1].start)
                tail.advance(ranges[-1], tail.open().read(ranges[-1].end - size, size))
        except UnreadableError as error:
            tail.close()
            self.problem(file.path, str(error))
            return True
        self.tails[partition.partition] = tail
        self.limit_open()
        return True

    def _take_up(self, file: FoundFile, gone: list[Partition], known: dict[str, Partition]) -> None:
        """A file under a new path, or with a new beginning: one that was renamed, or a new partition."""
        if not file.size:
            return
        try:
            inherited = self._inherit(file, gone)
        except UnreadableError as error:
            self.problem(file.path, str(error))
            return
        shown = shown_path(file.path)
        if inherited is not None:
            gone.remove(inherited)
            old = self.tails.pop(inherited.partition, None)
            if old is not None:
                old.close()
            with self._catalogue.write() as connection:
                progress.move_partition(connection, source=self._spec.name, partition=inherited.partition, path=shown)
            if self._resume(inherited, file):
                return
        generation = 1 + max((p.generation for p in known.values() if _original(p) == shown), default=0)
        partition = f"{shown}#{generation}"
        with self._catalogue.write() as connection:
            progress.add_partition(
                connection, source=self._spec.name, partition=partition, path=shown, generation=generation
            )
        self.tails[partition] = Tail(self._spec, partition, file)

    def _inherit(self, file: FoundFile, gone: list[Partition]) -> Partition | None:
        """The longest partition without a file of its own whose planned bytes this file begins with."""
        candidates = {item.partition: item for item in gone if item.planned}
        if not candidates:
            return None
        with self._catalogue.read() as connection:
            ranges = {name: progress.ranges(connection, self._spec.name, name) for name in candidates}
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
                continue
            tail.rotated = True


def shown_path(path: str) -> str:
    """A path as text that every database stores: bytes that are no UTF-8 are written as ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _original(partition: Partition) -> str:
    return partition.partition.rpartition("#")[0]
