"""The batches that this process has marked as begun and not committed yet, so that it can take its marks back.

A mark stays where the process dies; it must not where it lives on or ends in order: an error of a database, a disk or
a key, a job that was cancelled, is not held against a batch. Memory that ran out is: it may be the batch's doing.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Final

from errors import LiucunError
from pipelines.batches import Place, RawBatch
from pipelines.sources.parts import record_starts
from pipelines.sources.spec import SourceSpec
from retention.catalogue import attempts
from retention.catalogue.engine import Catalogue
from retention.catalogue.retrying import retried

END_SECONDS: Final = 5.0
"""How long a process that ends may take to take its marks back."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Begun:
    catalogue: Catalogue
    place: Place
    narrowed: bool

    def take_back(self) -> None:
        def undo() -> None:
            with self.catalogue.write(row_locks=True) as connection:
                place = self.place
                attempts.take_back(connection, place.source, place.partition, place.start, narrowed=self.narrowed)

        try:
            retried(self.catalogue, undo)
        except LiucunError as error:
            _LOG.warning("the mark of %s stays: %s", self.place.partition, error.what)


_lock = threading.Lock()
_begun: dict[tuple[str, str, str], _Begun] = {}


def begin(job: str, catalogue: Catalogue, spec: SourceSpec, raw: RawBatch) -> None:
    """Mark a guarded batch as begun, durably.

    Raises:
        BusyError, StorageError, UnreachableError: the catalogue cannot be written.
    """
    if raw.guard is None:
        return
    place, narrowed = raw.place, raw.guard.suspect is not None
    records = len(record_starts(raw, spec))

    def mark() -> bool:
        with catalogue.write(row_locks=True) as connection:
            return attempts.begin(
                connection, place.source, place.partition, place.start, place.end, records=records, narrowed=narrowed
            )

    if retried(catalogue, mark):
        with _lock:
            _begun[_key(job, place)] = _Begun(catalogue, place, narrowed)


def done(job: str, place: Place) -> None:
    """A part of a batch is committed, or was committed by others: there is nothing to take back any more."""
    with _lock:
        _begun.pop(_key(job, place), None)


def failed(job: str, place: Place, error: Exception) -> None:
    """A stage raised an error over a batch."""
    with _lock:
        begun = _begun.pop(_key(job, place), None)
    if begun is not None and not isinstance(error, MemoryError):
        begun.take_back()


def end() -> None:
    """The process ends in order: take every mark back, within ``END_SECONDS``."""
    with _lock:
        left = list(_begun.values())
        _begun.clear()
    if not left:
        return
    undoing = threading.Thread(target=_take_back, args=(left,), daemon=True)
    undoing.start()
    undoing.join(END_SECONDS)


def _take_back(left: list[_Begun]) -> None:
    for begun in left:
        begun.take_back()


def _key(job: str, place: Place) -> tuple[str, str, str]:
    return job, place.source, place.partition
