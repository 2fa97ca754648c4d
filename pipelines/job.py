"""One run over declared sources: plan ranges, run them in rounds, add up the results.

Planned ranges are persisted before they run, so that a run that was cut off repeats
exactly the batches it had begun and the cursor sorts out which of them had been done.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipelines.batches import BatchResult, RawBatch
from pipelines.embedded import EmbeddedRunner
from pipelines.rules_in_force import JobRules
from pipelines.sources.files import FileSource
from pipelines.sources.journal import JournalSource
from pipelines.sources.kafka import KafkaSource
from pipelines.sources.spec import SourceSpec
from pipelines.summary import RunSummary
from retention.catalogue.retrying import retried
from retention.intake.settings import CollectorSettings
from retention.store import Store
from tickets.telling import AS_SHIPPED, Opening

POLL_SECONDS = 0.5
"""How often a following run looks for more."""
NUMBER_SECONDS = 1.0
"""How often what was committed is numbered in the transparency log."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """``batch_bytes`` of source bytes a batch, ``round_bytes`` a round of the embedded run.

    ``rules``: the keyword rules, read again whenever they change, and the model beside them; None for what ships.
    ``opening``: the target of disposal, and where findings are told.
    ``observe`` is told what became of every batch. ``collector``: where the intake journal of sources of kind
    ``collector`` lies.
    """

    follow: bool = False
    max_seconds: float | None = None
    batch_bytes: int = 8 << 20
    round_bytes: int = 32 << 20
    rules: JobRules | None = None
    opening: Opening = AS_SHIPPED
    observe: Callable[[BatchResult], None] | None = None
    collector: CollectorSettings = field(default_factory=CollectorSettings)


Progress = Callable[[RunSummary, int], None]
"""Called after every round with the summary so far and the bytes still known to be waiting."""


class Job:
    """Runs the embedded pipeline over sources until they are done, or until it is stopped."""

    def __init__(self, store: Store, specs: Sequence[SourceSpec], options: JobOptions) -> None:
        self.options = options
        self.summary = RunSummary()
        self._store = store
        self._specs = {spec.name: spec for spec in specs}
        self.sources = [_source(spec, store, options) for spec in specs]
        self._stop = threading.Event()
        self._numbered = time.monotonic()

    def stop(self) -> None:
        """End the run after its present round; from any thread, but not from a signal handler (``stopping``)."""
        self._stop.set()

    @property
    def problems(self) -> list[str]:
        """What sources could not read, in words."""
        return [str(problem) for source in self.sources for problem in source.problems]

    def lags(self) -> dict[tuple[str, str], int]:
        """Offsets known and not planned, by source and partition."""
        return {(s.spec.name, name): count for s in self.sources for name, count in s.lags().items()}

    def unreadable(self) -> Counter[str]:
        """How many places cannot be read, or were lost, by source."""
        return Counter(source.spec.name for source in self.sources for _ in source.problems)

    def run(self, progress: Progress | None = None) -> RunSummary:
        """Run to the end.

        Raises:
            LogForkedError: the archive is not the one that its custodian knows; nothing was taken in.
            LiucunError: a stage or a source failed; what was committed stays, the next run goes on from there.
        """
        # An archive whose history was changed takes nothing in: its cursors may be wrong too.
        self._store.log.keep()
        with EmbeddedRunner(self._store, self._specs, self.options.rules, self.options.opening) as runner:
            while not self._over():
                batches = self._plan()
                if batches:
                    results = runner.run(batches)
                    self.summary.add(results)
                    for result in results if self.options.observe else ():
                        assert self.options.observe is not None
                        self.options.observe(result)
                elif not self.options.follow and not any(source.waiting for source in self.sources):
                    break
                else:
                    self._stop.wait(POLL_SECONDS)
                self._number()
                if progress:
                    progress(self.summary, sum(source.lag() for source in self.sources))
        return self.summary

    def _number(self) -> None:
        """Bring the transparency log up to date, at most once in ``NUMBER_SECONDS``."""
        now = time.monotonic()
        if now - self._numbered >= NUMBER_SECONDS:
            retried(self._store.catalogue, lambda: self._store.log.keep(ending=False))
            self._numbered = now

    def _over(self) -> bool:
        limit = self.options.max_seconds
        return self._stop.is_set() or (limit is not None and time.monotonic() - self.summary.started >= limit)

    def _plan(self) -> list[RawBatch]:
        # Every source gets its share of a round, so that a big one does not starve the others.
        share = max(self.options.round_bytes // max(len(self.sources), 1), 1)
        return [batch for source in self.sources for batch in source.plan(share)]


def _source(spec: SourceSpec, store: Store, options: JobOptions) -> FileSource | KafkaSource | JournalSource:
    if spec.kind == "collector":
        folder = options.collector.place(store.root, spec.name)
        bodies, size = store.bodies, options.batch_bytes
        return JournalSource(spec, store.catalogue, folder, bodies, follow=options.follow, batch_bytes=size)
    kind = KafkaSource if spec.kind == "kafka" else FileSource
    return kind(spec, store.catalogue, follow=options.follow, batch_bytes=options.batch_bytes)
