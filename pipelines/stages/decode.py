"""Decode 解码: raw bytes to the record schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pipelines.batches import DecodedBatch, PairedBatch, RawBatch
from pipelines.beam import beam
from pipelines.decode import decoder
from pipelines.decode.reasons import Code
from pipelines.decode.unread import unread
from pipelines.sources.spec import SourceSpec
from pipelines.stages.failing import Failing
from pipelines.stages.isolating import isolated

Specs = Mapping[str, SourceSpec]


def decode_batch(specs: Specs, raw: RawBatch) -> DecodedBatch:
    """Decode one batch by its source's declaration, with the present moment as ingest time."""
    return decoder(specs[raw.place.source]).decode(raw, datetime.now(UTC))


def refuse_batch(specs: Specs, raw: RawBatch) -> DecodedBatch:
    """Every record of a batch as it came, unread: the program fails on them."""
    return decoder(specs[raw.place.source]).decode(raw, datetime.now(UTC), refused=Code.PROGRAM_FAULT)


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
        spec = self.specs[element.place.source]
        if element.guard is not None and element.guard.condemned:
            yield PairedBatch(element, unread(spec, element, datetime.now(UTC)))
            return
        yield from isolated(
            element,
            spec,
            lambda raw: PairedBatch(raw, decode_batch(self.specs, raw)),
            refuse=lambda raw: PairedBatch(raw, refuse_batch(self.specs, raw)),
        )
