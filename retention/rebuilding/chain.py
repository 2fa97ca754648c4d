"""Finds the log among the objects: the run of entry objects that adds up to the newest signed checkpoint.

Sequencers that were cut off, or came second, leave objects behind that are not of the log. Of all runs of objects
from 0 to the checkpoint's size, only the log's has its root.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from errors import IntegrityError, LiucunError
from retention.crypto.suites import Suite
from retention.keys.periods import PeriodKeys
from retention.objects.base import ObjectStore
from retention.transparency import merkle
from retention.transparency.entries import PREFIX, Entry, open_entries, range_of
from retention.transparency.note import Checkpoint, Verifier, open_note
from retention.transparency.sequencer import CHECKPOINT_PREFIX

_RUNS: Final = 1000
"""Runs of objects that are tried; more than a few need as many crashes in the same place."""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A signed state of the log, as an object keeps it."""

    checkpoint: Checkpoint
    note: str
    object_name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """The log's objects in order up to ``newest``, and the objects past it, whose entries no state covers."""

    newest: StoredCheckpoint | None
    checkpoints: tuple[StoredCheckpoint, ...]
    objects: tuple[str, ...]
    beyond: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads a log's objects."""

    objects: ObjectStore
    period_keys: PeriodKeys
    suite: Suite
    verifiers: Sequence[Verifier]

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.verifiers[0].name

    def entries(self, name: str) -> list[Entry]:
        """The entries of one object."""
        return open_entries(self.period_keys, self.origin, name, self.objects.read(name))

    def find(self) -> Chain:
        """The log among the objects.

        Raises:
            IntegrityError: no run of objects adds up to the newest checkpoint.
        """
        stored = self._checkpoints()
        names = {name: where for name in self.objects.list(PREFIX) if (where := range_of(name)) is not None}
        if not stored:
            return Chain(None, (), (), tuple(sorted(names)))
        newest = stored[-1]
        for run in self._runs(names, newest.checkpoint.size):
            if self._adds_up(run, newest.checkpoint):
                beyond = sorted(name for name, where in names.items() if where[0] >= newest.checkpoint.size)
                return Chain(newest, tuple(stored), tuple(run), tuple(beyond))
        raise IntegrityError(
            f"The log's objects do not add up to its newest checkpoint of {newest.checkpoint.size} entries.",
            cure="Restore the missing or damaged objects below log/entries from a backup, then try again.",
        )

    def _checkpoints(self) -> list[StoredCheckpoint]:
        """Those that a key of this archive signed, by size; of two with one size, either."""
        found: dict[int, StoredCheckpoint] = {}
        for name in self.objects.list(CHECKPOINT_PREFIX):
            note = self.objects.read(name).decode("utf-8", "replace")
            try:
                checkpoint = Checkpoint.read(open_note(note, self.verifiers))
            except IntegrityError:
                continue  # torn or foreign: an older one still stands
            if checkpoint.origin == self.origin:
                found[checkpoint.size] = StoredCheckpoint(checkpoint, note, name)
        return [found[size] for size in sorted(found)]

    @staticmethod
    def _runs(names: dict[str, tuple[int, int]], size: int) -> Iterator[list[str]]:
        """Every run of objects from 0 to ``size`` without gap or overlap."""
        by_start: dict[int, list[str]] = {}
        for name, (start, end) in sorted(names.items()):
            if start < end <= size:
                by_start.setdefault(start, []).append(name)
        tried = 0
        waiting: list[list[str]] = [[name] for name in by_start.get(0, [])]
        while waiting and tried < _RUNS:
            run = waiting.pop()
            end = names[run[-1]][1]
            if end == size:
                tried += 1
                yield run
                continue
            waiting += [[*run, name] for name in by_start.get(end, [])]

    def _adds_up(self, run: Sequence[str], checkpoint: Checkpoint) -> bool:
        def leaves() -> Iterator[bytes]:
            for name in run:
                for entry in self.entries(name):
                    yield merkle.leaf_hash(self.suite.hash, entry.data(self.suite))

        try:
            roots = merkle.roots_at(self.suite.hash, leaves(), [checkpoint.size])
        except LiucunError:
            return False  # an object of this run cannot be read; another run may do without it
        return roots.get(checkpoint.size) == checkpoint.root
