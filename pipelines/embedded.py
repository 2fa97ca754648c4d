"""The embedded runner: micro-batches of the graph on Beam's in-process runner.

The graph is built once; each round copies its description and runs it (facts of
Beam 2.77: no local runner streams correctly, and building costs more than running).
"""

from __future__ import annotations

import copy
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from pipelines import handover
from pipelines.batches import BatchResult, RawBatch
from pipelines.beam import EmbeddedPythonEnvironment, FnApiRunner, PipelineOptions, beam
from pipelines.elements import register_coders
from pipelines.graph import ReadRound, ReportRound, archive_stream
from pipelines.rules_in_force import JobRules, let_go
from pipelines.sources.spec import SourceSpec
from pipelines.stores import register, release
from retention.store import Store
from tickets.telling import AS_SHIPPED, Opening

_QUIET = ("apache_beam", "apache_beam.runners.worker", "apache_beam.runners.portability")


class EmbeddedRunner:
    """Runs rounds of batches through the graph in this process. Use it in a ``with`` statement."""

    def __init__(
        self,
        store: Store,
        specs: Mapping[str, SourceSpec],
        rules: JobRules | None = None,
        opening: Opening = AS_SHIPPED,
    ) -> None:
        register_coders()
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._job = uuid.uuid4().hex
        self._store, self._ref = store, register(store)
        self._rules = rules
        self._options = PipelineOptions(flags=[])
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=self._options)
        results = archive_stream(pipeline | ReadRound(self._job), self._ref, specs, self._job, rules, opening)
        _ = results | ReportRound(self._job)
        self._graph: Any = pipeline.to_runner_api(default_environment=EmbeddedPythonEnvironment.default())

    def run(self, batches: list[RawBatch]) -> list[BatchResult]:
        """Run one round to its end and return what became of each batch.

        Raises:
            Exception: the first error of a stage, as it was raised. What was committed before it stays.
        """
        running = handover.begin(self._job, batches)
        try:
            FnApiRunner().run_via_runner_api(copy.deepcopy(self._graph), self._options).wait_until_finish()
        except Exception:
            if running.failure is not None:
                raise running.failure from None
            raise
        finally:
            handover.end(self._job)
        return running.results

    def __enter__(self) -> EmbeddedRunner:
        return self

    def __exit__(self, *_: object) -> None:
        release(self._ref, self._store)
        if self._rules is not None:
            let_go(self._rules)
