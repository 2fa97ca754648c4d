"""Begin 起读: rehearses once, and marks a guarded batch as begun before anything of it is decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipelines import under_way
from pipelines.batches import Messages, Place, RawBatch
from pipelines.beam import beam
from pipelines.rules_in_force import JobRules
from pipelines.stages.decode import Specs, decode_batch
from pipelines.stages.detect import detected
from pipelines.stages.failing import Failing
from pipelines.stores import StoreRef, store_of

_lock = threading.Lock()
_rehearsed: set[tuple[str, str]] = set()


class Begin(beam.PTransform):
    """``RawBatch`` → the same."""

    def __init__(self, ref: StoreRef, specs: Specs, job: str, rules: JobRules | None = None) -> None:
        super().__init__("Begin")
        self.ref = ref
        self.specs = dict(specs)
        self.job = job
        self.rules = rules

    def expand(self, batches: Any) -> Any:
        marking = _Begin(self.ref, self.specs, self.job, self.rules)
        return batches | "Mark" >> beam.ParDo(marking).with_output_types(RawBatch)


class _Begin(Failing):
    def __init__(self, ref: StoreRef, specs: Specs, job: str, rules: JobRules | None) -> None:
        super().__init__(job)
        self.ref = ref
        self.specs = specs
        self.rules = rules

    def work(self, element: RawBatch) -> Iterator[RawBatch]:
        guard = element.guard
        if guard is None or not guard.condemned:
            self._rehearse(element.place.source)
        if guard is not None:
            under_way.begin(self.job, store_of(self.ref).catalogue, self.specs[element.place.source], element)
        yield element

    def _rehearse(self, source: str) -> None:
        """Decode and scan an empty record, once a process: what loading rules, model and loops breaks is no batch's.

        An error is raised, and the next batch rehearses again. It also shortens the time in which a worker that is
        stopped leaves a mark behind.
        """
        # Others wait: a mark that was left while it goes on would be held against its batch.
        with _lock:
            if (self.job, source) in _rehearsed:
                return
            data = b"{}"
            one = Messages(np.zeros(1, np.int64), np.full(1, len(data), np.int64))
            raw = RawBatch(Place(source, "rehearsal", 0, 1), data, first=False, last=False, messages=one)
            detected(raw, decode_batch(self.specs, raw), self.rules, store_of(self.ref).catalogue)
            _rehearsed.add((self.job, source))
