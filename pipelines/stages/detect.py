"""Detect 监测: the detectors over the text that a source declares public, and over nothing else (电信条例 art. 65)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from detectors.base import Detector
from detectors.default import default_detector
from pipelines.batches import DecodedBatch, DetectedBatch, PairedBatch, RawBatch
from pipelines.beam import beam
from pipelines.rules_in_force import JobRules, rules_in_force, shadow_counts
from pipelines.stages.decode import Specs, decode_batch, refuse_batch
from pipelines.stages.failing import Failing
from pipelines.stages.isolating import isolated
from pipelines.stores import StoreRef, store_of
from retention.catalogue.engine import Catalogue
from tickets.opening import ContentFinding, Hit

_CONTEXT = ("log_offset", "content_id", "user_id", "event_time", "event_ingested")


def detect_batch(decoded: DecodedBatch, detector: Detector) -> tuple[ContentFinding, ...]:
    """Scan every public text field of a batch; one ``ContentFinding`` for each text with a hit."""
    found: list[ContentFinding] = []
    for field, texts in sorted(decoded.published.items()):
        findings = detector.detect(texts)
        if findings.num_rows:
            found.extend(_by_text(decoded, field, texts, findings))
    return tuple(found)


def detected(raw: RawBatch, decoded: DecodedBatch, rules: JobRules | None, catalogue: Catalogue) -> DetectedBatch:
    """Scan a batch with the rules in force now; without ``rules`` with those that ship, which never change.

    Shadow rules are counted beside: what they find opens nothing.
    """
    if rules is None:
        return DetectedBatch(raw, decoded, detect_batch(decoded, default_detector()))
    detector, keywords = rules_in_force(rules).detectors(catalogue)
    counts = shadow_counts(decoded, keywords)
    return DetectedBatch(raw, decoded, detect_batch(decoded, detector), counts, keywords.version)


def _by_text(
    decoded: DecodedBatch, field: str, texts: pa.StringArray, findings: pa.RecordBatch
) -> Iterator[ContentFinding]:
    rows = findings.column("row").to_numpy(zero_copy_only=False)
    distinct, begins = np.unique(rows, return_index=True)
    ends = [*begins[1:].tolist(), len(rows)]
    hits = findings.drop_columns(["row"]).to_pylist()
    context = decoded.records.select(list(_CONTEXT)).take(pa.array(distinct)).to_pylist()
    hit_texts = texts.take(pa.array(distinct)).to_pylist()
    for text, record, begin, end in zip(hit_texts, context, begins.tolist(), ends, strict=True):
        yield ContentFinding(
            source=decoded.place.source,
            partition=decoded.place.partition,
            offset=record["log_offset"],
            content_id=record["content_id"],
            record_class=decoded.record_class,
            user_id=record["user_id"],
            field=field,
            text=text,
            event_time=record["event_time"] or record["event_ingested"],
            findings=tuple(Hit(**hit) for hit in hits[begin:end]),
        )


class Detect(beam.PTransform):
    """``PairedBatch`` → ``DetectedBatch``."""

    def __init__(self, ref: StoreRef, specs: Specs, job: str, rules: JobRules | None = None) -> None:
        super().__init__("Detect")
        self.ref = ref
        self.specs = dict(specs)
        self.job = job
        self.rules = rules

    def expand(self, batches: Any) -> Any:
        scan = _Detect(self.ref, self.specs, self.job, self.rules)
        return batches | "Scan" >> beam.ParDo(scan).with_output_types(DetectedBatch)


class _Detect(Failing):
    def __init__(self, ref: StoreRef, specs: Specs, job: str, rules: JobRules | None) -> None:
        super().__init__(job)
        self.ref = ref
        self.specs = specs
        self.rules = rules

    def work(self, element: PairedBatch) -> Iterator[DetectedBatch]:
        if element.raw.guard is not None and element.raw.guard.condemned:
            yield DetectedBatch(element.raw, element.decoded, ())
            return
        catalogue = store_of(self.ref).catalogue

        def scan(raw: RawBatch) -> DetectedBatch:
            decoded = element.decoded if raw is element.raw else decode_batch(self.specs, raw)
            return detected(raw, decoded, self.rules, catalogue)

        def refuse(raw: RawBatch) -> DetectedBatch:
            return detected(raw, refuse_batch(self.specs, raw), self.rules, catalogue)

        yield from isolated(element.raw, self.specs[element.raw.place.source], scan, refuse=refuse)
