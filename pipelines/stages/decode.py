"""Decode 解码: raw bytes to the record schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pipelines.batches import DecodedBatch, PairedBatch, RawBatch
from pipelines.beam import beam
from pipelines.decode import decoder
from pipelines.sources.spec import SourceSpec
from pipelines.stages.failing import Failing

Specs = Mapping[str, SourceSpec]


def decode_batch(specs: Specs, raw: RawBatch) -> DecodedBatch:
    """Decode one batch by its source's declaration, with the present moment as ingest time."""
    return decoder(specs[raw.place.source]).decode(raw, datetime.now(UTC))


class Decode(beam.PTransform):
    """``RawBatch`` → ``PairedBatch``."""

    def __init__(self, specs: Specs, job: str) -> None:
        super().__init__("Decode")
        self.specs = dict(specs)
        self.job = job

    def expand(self, batches: Any) -> Any:
        return batches | "Parse" >> beam.ParDo(_Decode(self.specs, self.job)).with_output_types(PairedBatch)


class _Decode(Failing):
    def __init__(self, specs: Specs, job: str) -> None:
        super().__init__(job)
        self.specs = specs

    def work(self, element: RawBatch) -> Iterator[PairedBatch]:
        yield PairedBatch(element, decode_batch(self.specs, element))
