"""Adds up what became of the batches of a run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipelines.batches import BatchResult


@dataclass(slots=True)
class RunSummary:
    """Counts of one run; ``as_json`` is the contract of ``run --json``."""

    started: float = field(default_factory=time.monotonic)
    records: Counter[str] = field(default_factory=Counter)
    unparsed: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    shadow: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    segments: int = 0
    bytes_in: int = 0
    bytes_stored: int = 0
    tickets_opened: int = 0
    batches: int = 0

    def add(self, results: Iterable[BatchResult]) -> None:
        """Add the results of a round."""
        for result in results:
            self.records.update(result.records)
            self.unparsed.update(result.unparsed)
            self.findings.update(result.findings)
            self.shadow.update(result.shadow)
            self.skipped += result.skipped
            self.segments += result.segments
            self.bytes_in += result.bytes_in
            self.bytes_stored += result.bytes_stored
            self.tickets_opened += result.tickets_opened
            self.batches += int(result.committed)

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    @property
    def records_in(self) -> int:
        """Framed records, unparsed ones included."""
        return self.records.total()

    def as_json(self) -> dict[str, object]:
        """The summary as ``run --json`` prints it."""
        return {
            "records_in": self.records_in,
            "skipped": self.skipped,
            "records": _sorted(self.records),
            "unparsed": _sorted(self.unparsed),
            "segments": self.segments,
            "bytes_in": self.bytes_in,
            "bytes_stored": self.bytes_stored,
            "findings": _sorted(self.findings),
            "shadow_findings": _sorted(self.shadow),
            "tickets_opened": self.tickets_opened,
            "seconds": round(self.seconds, 3),
        }


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if count or name == "unparsed"}
