"""Seal 封存: segments first, then one transaction with the cursor and the tickets."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from pipelines import under_way
from pipelines.batches import BatchResult, DecodedBatch, DetectedBatch, RawBatch
from pipelines.beam import beam
from pipelines.decode.times import retention_anchor, shanghai_month
from pipelines.rules_in_force import JobRules, record_shadow
from pipelines.sources.kafka_ledger import record_holes
from pipelines.sources.parts import tail
from pipelines.stages.decode import Specs, decode_batch
from pipelines.stages.detect import detected
from pipelines.stages.failing import Failing
from pipelines.stages.undeclared import undeclared_fields
from pipelines.stores import StoreRef, store_of
from retention.catalogue import attempts, events
from retention.catalogue.commit import BatchCommit, Outcome, commit_batch
from retention.catalogue.declarations import fresh_fields, note_fields
from retention.manifest import SegmentManifest, SegmentPlace
from retention.schema import RecordClass
from retention.segments import write_segment
from retention.store import Store
from tickets.opening import OpenedCounts, open_or_extend, prepare
from tickets.telling import AS_SHIPPED, Opening


def seal_batch(
    store: Store, specs: Specs, batch: DetectedBatch, rules: JobRules | None = None, opening: Opening = AS_SHIPPED
) -> BatchResult:
    """Archive a batch, move the source's cursor over it and open its tickets: all of it or nothing.

    A batch that another collector committed is dropped; of one that straddles the cursor what lies past it is decoded,
    scanned and sealed as a batch of its own. Segments of a batch that was not committed stay behind as orphans,
    named by no manifest, and are collected later.

    Raises:
        BatchGapError: an earlier range of the partition is not committed yet.
    """
    began = time.perf_counter()
    decoded = batch.decoded
    place = decoded.place
    manifests = tuple(_write(store, decoded))
    fields = undeclared_fields(specs[place.source], decoded.records)
    if fields:
        with store.catalogue.read() as connection:
            fields = fresh_fields(connection, place.source, fields)
    tickets = prepare(store.bodies, batch.contents, now=datetime.now(UTC), opening=opening)

    def commit_findings(connection: sa.Connection) -> OpenedCounts:
        record_holes(connection, batch.raw)
        _pass(connection, batch.raw)
        note_fields(connection, place.source, fields)
        record_shadow(connection, batch.rules, batch.shadow)
        return open_or_extend(connection, tickets)

    committing = time.perf_counter()
    commit, opened = commit_batch(
        store.catalogue,
        BatchCommit(
            source=place.source,
            partition=place.partition,
            start=place.start,
            end=place.end,
            records=decoded.records_in,
            headers=decoded.header_rows,
            blanks=decoded.blank_lines,
            segments=manifests,
        ),
        inside=commit_findings,
    )
    if commit.outcome is Outcome.STRADDLES:
        rest = tail(batch.raw, specs[place.source], commit.cursor)
        redone = decode_batch(specs, rest)
        return seal_batch(store, specs, detected(rest, redone, rules, store.catalogue), rules, opening)
    if commit.outcome is Outcome.DUPLICATE or opened is None:
        return BatchResult(place, committed=False)
    return BatchResult(
        place,
        committed=True,
        records={decoded.record_class: decoded.records.num_rows, RecordClass.UNPARSED.value: decoded.unparsed.num_rows},
        unparsed=_counts(decoded.unparsed.column("error_code")),
        findings=dict(Counter(hit.category for content in batch.contents for hit in content.findings)),
        shadow=batch.shadow,
        skipped=decoded.header_rows + decoded.blank_lines,
        segments=len(manifests),
        bytes_in=len(batch.raw.data),
        bytes_stored=sum(manifest.bytes_stored for manifest in manifests),
        tickets_opened=opened.opened,
        seconds=time.perf_counter() - began,
        commit_seconds=time.perf_counter() - committing,
    )


def _pass(connection: sa.Connection, raw: RawBatch) -> None:
    """Take away the mark of a guarded batch; what was condemned goes on record."""
    place, guard = raw.place, raw.guard
    if guard is None:
        return
    attempts.passed(connection, place.source, place.partition, place.end, suspect=guard.suspect)
    if guard.condemned:
        events.append(
            connection,
            kind=events.CONDEMNED_RECORD,
            actor="system:seal",
            subject=f"partition:{place.partition}",
            body={
                "source": place.source,
                "start": place.start,
                "end": place.end,
                "tries": guard.tries,
                "since": guard.since,
            },
        )


def _write(store: Store, decoded: DecodedBatch) -> Iterator[SegmentManifest]:
    for record_class, rows, moments in (
        (decoded.record_class, decoded.records, retention_anchor(decoded.records)),
        (RecordClass.UNPARSED.value, decoded.unparsed, decoded.unparsed.column("event_ingested")),
    ):
        for period, part in _by_month(rows, moments):
            place = decoded.place
            yield write_segment(
                store.archive,
                part,
                record_class=record_class,
                period=period,
                places=(SegmentPlace(place.source, place.partition, place.start, place.end, part.num_rows),),
            )


def _by_month(rows: pa.RecordBatch, moments: pa.Array) -> Iterator[tuple[str, pa.RecordBatch]]:
    if not rows.num_rows:
        return
    months = shanghai_month(moments)
    distinct = sorted(pc.unique(months).to_pylist())
    if len(distinct) == 1:
        yield distinct[0], rows
        return
    for month in distinct:
        yield month, rows.filter(pc.equal(months, month))


def _counts(column: pa.Array) -> dict[str, int]:
    return {item["values"]: item["counts"] for item in pc.value_counts(column.cast(pa.string())).to_pylist()}


class Seal(beam.PTransform):
    """``DetectedBatch`` → ``BatchResult``."""

    def __init__(
        self, ref: StoreRef, specs: Specs, job: str, rules: JobRules | None = None, opening: Opening = AS_SHIPPED
    ) -> None:
        super().__init__("Seal")
        self.ref = ref
        self.specs = dict(specs)
        self.job = job
        self.rules = rules
        self.opening = opening

    def expand(self, batches: Any) -> Any:
        sealing = _Seal(self.ref, self.specs, self.job, self.rules, self.opening)
        return batches | "Commit" >> beam.ParDo(sealing).with_output_types(BatchResult)


class _Seal(Failing):
    def __init__(self, ref: StoreRef, specs: Specs, job: str, rules: JobRules | None, opening: Opening) -> None:
        super().__init__(job)
        self.ref = ref
        self.specs = specs
        self.rules = rules
        self.opening = opening

    def work(self, element: DetectedBatch) -> Iterator[BatchResult]:
        result = seal_batch(store_of(self.ref), self.specs, element, self.rules, self.opening)
        under_way.done(self.job, result.place)
        yield result
