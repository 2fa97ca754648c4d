"""What the embedded run hands to its graph and takes back, by job, inside one process.

The graph is built once and run for every round; what changes from round to round
passes through here instead of through the graph's own description.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from pipelines.batches import BatchResult, RawBatch


@dataclass(slots=True)
class Round:
    """Batches to run, results so far, and the first failure as it was raised."""

    batches: list[RawBatch] = field(default_factory=list)
    results: list[BatchResult] = field(default_factory=list)
    failure: Exception | None = None


_lock = threading.Lock()
_rounds: dict[str, Round] = {}


def begin(job: str, batches: list[RawBatch]) -> Round:
    """Start a round of a job."""
    with _lock:
        _rounds[job] = Round(batches)
        return _rounds[job]


def current(job: str) -> Round:
    """The running round of a job."""
    with _lock:
        return _rounds[job]


def end(job: str) -> None:
    """Forget a job's round and the bytes it holds."""
    with _lock:
        _rounds.pop(job, None)


def failed(job: str, error: Exception) -> bool:
    """Keep the first error of a round; whether this process runs one."""
    with _lock:
        if (found := _rounds.get(job)) is None:
            return False
        if found.failure is None:
            found.failure = error
        return True
