"""Keeps one bad record from holding up its partition for good.

A stage that fails on a batch with an error outside the errors' tree has met a fault of the program, which it would meet
on every repetition. The batch is tried a few times, then halved until what it fails on stands alone; those are archived
as they came, with the reason. Errors of the tree (a database that is away, a key that is missing), of the operating
system and of memory are none of the record's doing and are raised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from errors import LiucunError
from pipelines.batches import RawBatch
from pipelines.sources.parts import parts, record_starts
from pipelines.sources.spec import SourceSpec

TRIES: Final = 3
_NOT_ITS_DOING: Final = (LiucunError, MemoryError, OSError)

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


def isolated(
    raw: RawBatch, spec: SourceSpec, attempt: Callable[[RawBatch], T], *, refuse: Callable[[RawBatch], T]
) -> Iterator[T]:
    """What ``attempt`` makes of a batch; of records on which it fails every time, what ``refuse`` makes of them.

    Raises:
        Exception: the error of ``attempt``, where the batch holds no record, or ``refuse`` fails too.
    """
    try:
        done = _tried(raw, attempt)
    except _NOT_ITS_DOING:
        raise
    except Exception as error:
        if not len(record_starts(raw, spec)):
            raise
        fault = type(error).__name__
    else:
        yield done
        return
    halves = parts(raw, spec, 2)
    if len(halves) > 1:
        for half in halves:
            yield from isolated(half, spec, attempt, refuse=refuse)
        return
    place = raw.place
    # Never the record itself, nor the error's words: they may quote it.
    _LOG.error("%s [%d, %d) is archived unread: %s", place.partition, place.start, place.end, fault)
    yield refuse(raw)


def _tried(raw: RawBatch, attempt: Callable[[RawBatch], T]) -> T:
    for _ in range(TRIES - 1):
        try:
            return attempt(raw)
        except _NOT_ITS_DOING:
            raise
        except Exception:  # noqa: BLE001 - the last try raises it
            _LOG.warning("A stage failed on %s [%d, %d)", raw.place.partition, raw.place.start, raw.place.end)
    return attempt(raw)
