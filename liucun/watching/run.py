"""The metrics of ``liucun run``: its summary as counters, how far each partition is behind, whether it goes round."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from errors import StorageError
from liucun.watching.meters import Meters
from pipelines.batches import BatchResult
from pipelines.summary import RunSummary

LOG: Final = logging.getLogger("liucun.run")
REPORT_SECONDS: Final = 60.0
STALE_SECONDS: Final = 300.0
"""A run that has not gone round for so long is not ready: a batch takes seconds, an idle round half a second."""
MOST_PARTITIONS: Final = 100
_LABELLED: Final = {
    "records": "liucun_records",
    "unparsed": "liucun_unparsed_records",
    "findings": "liucun_findings",
}
_PLAIN: Final = {
    "skipped": "liucun_skipped_lines",
    "bytes_in": "liucun_read_bytes",
    "bytes_stored": "liucun_stored_bytes",
    "segments": "liucun_segments",
    "batches": "liucun_batches",
    "tickets_opened": "liucun_tickets_opened",
}


class HasProblems(Protocol):
    """A job that says what it could not read."""

    @property
    def problems(self) -> list[str]:
        """In words."""
        ...


class RunMeters(Meters):
    """Metrics of one run. ``behind`` returns the offsets that wait by (source, partition); ``problems`` by source."""

    def __init__(self, root: Path) -> None:
        super().__init__("run", root)
        self.behind: Callable[[], Mapping[tuple[str, str], int]] = dict
        self.problems: Callable[[], Mapping[str, int]] = dict
        self._before: dict[tuple[str, str], int] = {}
        self._round = time.monotonic()

    def batch(self, result: BatchResult) -> None:
        """Take note of a batch's times."""
        if result.committed:
            self.observe("liucun_batch_seconds", result.seconds)
            self.observe("liucun_commit_seconds", result.commit_seconds)

    def round(self, summary: RunSummary, waiting: int) -> None:
        """Take note of a round (the ``Progress`` of a job)."""
        self._round = time.monotonic()
        self.set("liucun_round_timestamp_seconds", time.time())
        self.set("liucun_waiting_bytes", waiting)
        for name, metric in _LABELLED.items():
            for label, count in getattr(summary, name).items():
                self._grow(metric, count, label)
        for name, metric in _PLAIN.items():
            self._grow(metric, getattr(summary, name))
        self.clear("liucun_lag")
        furthest = sorted(self.behind().items(), key=lambda item: -item[1])[:MOST_PARTITIONS]
        for (source, partition), count in furthest:
            self.set("liucun_lag", count, source, partition)
        self.clear("liucun_source_problems")
        for source, count in self.problems().items():
            self.set("liucun_source_problems", count, source)

    def ready(self) -> None:
        """Raise ``StorageError`` when the run has stood still."""
        still = time.monotonic() - self._round
        if still > STALE_SECONDS:
            raise StorageError(f"The run has not gone round for {still:.0f} seconds.", cure="Look into its log.")

    def _grow(self, metric: str, count: int, *labels: str) -> None:
        key = (metric, "".join(labels))
        self.add(metric, max(count - self._before.get(key, 0), 0), *labels)
        self._before[key] = count


class Said:
    """Says in the log how a long run goes on: once a minute what was done, and at once what cannot be read."""

    def __init__(self, job: HasProblems, *, json: bool, told: bool = False) -> None:
        """``told``: somebody else says what cannot be read, as soon as it is known."""
        self._job = job
        self._json = json
        self._told = told
        self._minute = time.monotonic()
        self._known: set[str] = set()

    def round(self, summary: RunSummary, waiting: int) -> None:
        """Look at what is to be said after a round."""
        if not self._json:
            return
        for problem in () if self._told else self._job.problems:
            if problem not in self._known:
                self._known.add(problem)
                LOG.warning("not read 未读: %s", problem)
        if time.monotonic() - self._minute >= REPORT_SECONDS:
            self._minute = time.monotonic()
            done = {"records": summary.records_in, "waiting_bytes": waiting, "tickets_opened": summary.tickets_opened}
            LOG.info("run goes on", extra={"fields": {f"liucun.{name}": value for name, value in done.items()}})
