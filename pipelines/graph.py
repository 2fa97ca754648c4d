"""The graph, the same for every runner: read → begin → decode → detect → seal → report.

Nothing is shuffled between source and seal; exactly-once rests on the transaction in
``seal``, not on the runner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines import handover
from pipelines.batches import BatchResult, RawBatch
from pipelines.beam import beam
from pipelines.elements import register_coders
from pipelines.rules_in_force import JobRules
from pipelines.sources.spec import SourceSpec
from pipelines.stages.begin import Begin
from pipelines.stages.decode import Decode
from pipelines.stages.detect import Detect
from pipelines.stages.failing import Failing
from pipelines.stages.seal import Seal
from pipelines.stores import StoreRef
from tickets.telling import AS_SHIPPED, Opening


def archive_stream(
    batches: Any,
    ref: StoreRef,
    specs: Mapping[str, SourceSpec],
    job: str,
    rules: JobRules | None = None,
    opening: Opening = AS_SHIPPED,
) -> Any:
    """Apply the stages to a PCollection of ``RawBatch``; returns one of ``BatchResult``."""
    register_coders()
    begun = batches | Begin(ref, specs, job, rules)
    return begun | Decode(specs, job) | Detect(ref, specs, job, rules) | Seal(ref, specs, job, rules, opening)


class ReadRound(beam.PTransform):
    """The batches of the job's round in this process: the source of the embedded run."""

    def __init__(self, job: str) -> None:
        super().__init__("Read")
        self.job = job

    def expand(self, begin: Any) -> Any:
        return (
            begin
            | "Impulse" >> beam.Impulse()
            | "Planned" >> beam.ParDo(_ReadRound(self.job)).with_output_types(RawBatch)
        )


class _ReadRound(Failing):
    def work(self, element: bytes) -> Iterator[RawBatch]:
        pending = handover.current(self.job).batches
        while pending:
            # Handed over, not kept: a batch's bytes are freed once it is sealed.
            yield pending.pop(0)


class ReportRound(beam.PTransform):
    """Results back to the embedded run's round."""

    def __init__(self, job: str) -> None:
        super().__init__("Report")
        self.job = job

    def expand(self, results: Any) -> Any:
        return results | "Collect" >> beam.ParDo(_ReportRound(self.job))


class _ReportRound(Failing):
    def work(self, element: BatchResult) -> Iterator[None]:
        handover.current(self.job).results.append(element)
        yield from ()
