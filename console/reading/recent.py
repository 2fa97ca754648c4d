"""Figures that may be some seconds old: computed once, whoever asks meanwhile waits for the same answer."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
MOST: Final = 256


class Recent:
    """Keeps answers for a while; one a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Lock] = {}

    def read(self, key: str, seconds: float, compute: Callable[[], T]) -> T:
        """The answer under ``key``, at most ``seconds`` old."""
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        with busy:
            with self._lock:
                at, found = self._kept.get(key, (float("-inf"), None))
            if self._clock() - at <= seconds:
                answer: T = found
                return answer
            answer = compute()
            with self._lock:
                self._kept[key] = (self._clock(), answer)
                self._kept.move_to_end(key)
                while len(self._kept) > MOST:
                    gone, _ = self._kept.popitem(last=False)
                    self._busy.pop(gone, None)
            return answer
