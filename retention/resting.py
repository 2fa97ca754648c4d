"""Lets Python's collector of cycles rest while a step makes many small objects that live to its end.

It would look at every object of the process, several times, to find none of them to be garbage: a tenth to a fifth of
such a step. Memory is given back by reference counts as ever; only cycles wait until the last such step ends.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Steps:
    """The steps under way in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._was_on = False

    def begin(self) -> None:
        with self._lock:
            if self._count == 0:
                self._was_on = gc.isenabled()
                gc.disable()
            self._count += 1

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0 and self._was_on:
                gc.enable()


_STEPS = _Steps()


@contextmanager
def collector_rests() -> Iterator[None]:
    """For a step whose size is bounded; several may overlap, and each may hold others."""
    _STEPS.begin()
    try:
        yield
    finally:
        _STEPS.end()
