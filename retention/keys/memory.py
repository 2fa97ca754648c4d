"""Unwrapped period keys in a process's memory: how long one is used, and when it is forgotten."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FORGET_SECONDS: Final = 5.0
"""A key destroyed elsewhere is used by this process for at most so long."""
IDLE_SECONDS: Final = 30.0
"""A key that nobody asked for is looked at after so long, and forgotten if that was its last use or before."""

Place = tuple[str, str]
"""Class and period."""


@dataclass(frozen=True, slots=True, repr=False)
class PeriodKey:
    """An unwrapped period key: 32 random bytes from which the keys that seal are derived."""

    key_id: str
    key: bytes

    def __repr__(self) -> str:
        return f"<PeriodKey {self.key_id}>"


@dataclass(slots=True)
class _Cached:
    key: PeriodKey
    until: float


class KeyMemory:
    """Keys by id, and the one that seals for each class and period; safe for threads.

    ``sweep`` is a method that is called after ``IDLE_SECONDS`` and shall ``forget`` what is ``idle``, then say
    ``swept``; its object is not kept alive by that.
    """

    def __init__(self, sweep: Callable[[], None]) -> None:
        self._sweep = weakref.WeakMethod(sweep)
        self._lock = threading.Lock()
        self._by_id: dict[str, _Cached] = {}
        self._by_place: dict[Place, _Cached] = {}
        self._sweeper: threading.Timer | None = None

    def fresh(self, key_id: str) -> PeriodKey | None:
        """A key that may be used without a look whether it lives."""
        with self._lock:
            return _fresh(self._by_id.get(key_id))

    def fresh_of(self, place: Place) -> PeriodKey | None:
        """The same, of the key that seals for a class and period."""
        with self._lock:
            return _fresh(self._by_place.get(place))

    def known(self, key_id: str) -> PeriodKey | None:
        """A key that is in memory; whether it lives must be looked at."""
        with self._lock:
            cached = self._by_id.get(key_id)
        return cached.key if cached else None

    def known_of(self, place: Place) -> PeriodKey | None:
        """The same, of the key that seals for a class and period."""
        with self._lock:
            cached = self._by_place.get(place)
        return cached.key if cached else None

    def remember(self, key: PeriodKey, place: Place | None = None) -> PeriodKey:
        """Keep a key that was seen to live just now, as that which seals for ``place`` if one is given."""
        entry = _Cached(key, time.monotonic() + FORGET_SECONDS)
        with self._lock:
            self._by_id[key.key_id] = entry
            if place is not None:
                self._by_place[place] = entry
            if self._sweeper is None or not self._sweeper.is_alive():  # nor is it after a fork
                self._sweeper = _sweep_later(self._sweep)
        return key

    def idle(self) -> tuple[list[str], float]:
        """Ids of keys that nobody asked for in ``IDLE_SECONDS``, and what ``forget`` takes as ``unless_after``."""
        latest = time.monotonic() + FORGET_SECONDS - IDLE_SECONDS
        with self._lock:
            return [key_id for key_id, entry in self._by_id.items() if entry.until <= latest], latest

    def forget(self, key_id: str, unless_after: float = math.inf) -> None:
        """Forget a key, unless somebody asked for it meanwhile."""
        with self._lock:
            cached = self._by_id.get(key_id)
            if cached is None or cached.until > unless_after:
                return
            del self._by_id[key_id]
            for place in [place for place, entry in self._by_place.items() if entry.key.key_id == key_id]:
                del self._by_place[place]

    def swept(self) -> None:
        """Look again later while there is anything."""
        with self._lock:
            self._sweeper = _sweep_later(self._sweep) if self._by_id else None

    def clear(self) -> None:
        """Forget every key."""
        with self._lock:
            self._by_id.clear()
            self._by_place.clear()
            if self._sweeper is not None:
                self._sweeper.cancel()
                self._sweeper = None


def _fresh(cached: _Cached | None) -> PeriodKey | None:
    return cached.key if cached and time.monotonic() < cached.until else None


def _sweep_later(known: weakref.WeakMethod[Callable[[], None]]) -> threading.Timer:
    """A timer that lets keys be forgotten; it keeps neither the store of keys nor the process alive."""

    def sweep() -> None:
        there = known()
        if there is not None:
            there()

    timer = threading.Timer(IDLE_SECONDS, sweep)
    timer.name = "forget-keys"
    timer.daemon = True
    timer.start()
    return timer
