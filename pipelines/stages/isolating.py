"""Keeps one bad message from holding up its partition for good.

A stage that fails on a batch of messages with an error outside the errors' tree has met a fault of the program, which
it would meet on every repetition. The batch is tried a few times, then halved until what it fails on stands alone;
those are archived as they came, with the reason. Errors of the tree (a database that is away, a key that is missing),
of the operating system and of memory are none of the message's doing and are raised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from errors import LiucunError
from pipelines.batches import RawBatch

TRIES: Final = 3
_NOT_ITS_DOING: Final = (LiucunError, MemoryError, OSError)

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


def isolated(raw: RawBatch, attempt: Callable[[RawBatch], T], *, refuse: Callable[[RawBatch], T]) -> Iterator[T]:
    """What ``attempt`` makes of a batch; of messages on which it fails every time, what ``refuse`` makes of them.

    Raises:
        Exception: the error of ``attempt``, where the batch is none of messages, or ``refuse`` fails too.
    """
    try:
        done = _tried(raw, attempt)
    except _NOT_ITS_DOING:
        raise
    except Exception as error:
        halves = raw.halves()
        if halves is None and (raw.messages is None or not len(raw.messages)):
            raise
        if halves is None:
            place = raw.place
            # Never the message itself, nor the error's words: they may quote it.
            _LOG.error(
                "%s [%d, %d) is archived unread: %s", place.partition, place.start, place.end, type(error).__name__
            )
            done = refuse(raw)
        else:
            for half in halves:
                yield from isolated(half, attempt, refuse=refuse)
            return
    yield done


def _tried(raw: RawBatch, attempt: Callable[[RawBatch], T]) -> T:
    for _ in range(TRIES - 1):
        try:
            return attempt(raw)
        except _NOT_ITS_DOING:
            raise
        except Exception:  # noqa: BLE001 - the last try raises it
            _LOG.warning("A stage failed on %s [%d, %d)", raw.place.partition, raw.place.start, raw.place.end)
    return attempt(raw)
