"""Rate limits: token buckets in memory, by what is asked and who asks."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from console.errors import TooManyRequestsError

MAX_BUCKETS: Final = 20_000
"""Callers remembered at once; the one longest unseen is forgotten first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` at once, then ``per_minute``."""

    burst: int
    per_minute: float
    name: str = "api"


SIGN_IN: Final = Rate(10, 10)
"""By address. The lock-out guards one account; this guards all of them from one address."""
REQUESTS: Final = Rate(240, 600)
"""By session, token or address."""
LINES: Final = Rate(2000, 60_000, "lines")
"""By token, for programs that hand lines over; what they hand over is bounded by the journal."""
DISCLOSED: Final = Rate(10, 20)
"""By key to a disclosure: each answer reads the archive."""
ANYBODY: Final = Rate(60, 120)
"""By address, for callers that are not signed in."""


@dataclass(slots=True)
class Limiter:
    """Counts requests; one a process."""

    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[tuple[str, str], tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, rate: Rate, what: str, who: str) -> None:
        """Count one request.

        Raises:
            TooManyRequestsError: the caller has none left; says after how many seconds there is one.
        """
        key = (what, who)
        now = self.clock()
        with self._lock:
            left, since = self._buckets.pop(key, (float(rate.burst), now))
            left = min(float(rate.burst), left + (now - since) * rate.per_minute / 60)
            allowed = left >= 1
            self._buckets[key] = (left - 1 if allowed else left, now)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        if not allowed:
            wait = max(1, round((1 - left) * 60 / rate.per_minute))
            raise TooManyRequestsError(
                "Too many requests.", cure=f"Wait {wait} seconds and try again.", retry_after=wait
            )
