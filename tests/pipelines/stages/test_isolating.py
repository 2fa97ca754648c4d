"""A record on which the program fails is archived as it came, alone; everything around it goes its way."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import BusyError
from pipelines.batches import DecodedBatch, DetectedBatch, Messages, Place, RawBatch
from pipelines.decode.decoder import Decoder
from pipelines.embedded import EmbeddedRunner
from pipelines.sources.files import FileSource
from pipelines.sources.journal import JournalSource
from pipelines.sources.kafka_ledger import Ledger, TopicPartition
from pipelines.sources.spec import SourceSpec
from pipelines.stages import detect, seal
from pipelines.stages.isolating import TRIES, isolated
from retention.audits.coverage import audit_coverage
from retention.audits.integrity import audit_integrity
from retention.catalogue.commit import BatchCommit
from retention.catalogue.engine import Catalogue
from retention.compaction.merge import compact, plan
from retention.intake.journal import Journal
from retention.intake.settings import CollectorSettings
from retention.store import Store
from tests.console.helpers import PlainBodies
from tests.pipelines.stages.test_deadly_records import rows as segment_rows

SPEC = SourceSpec.model_validate(
    {
        "name": "k",
        "kind": "kafka",
        "record_class": "content",
        "format": "ndjson",
        "published": {"text": True},
        "kafka": {"brokers": ["h:1"], "topics": ["t"]},
    }
)


def lines(path: str) -> SourceSpec:
    """A CSV file whose header names its columns."""
    return SPEC.model_copy(update={"kind": "files", "format": "csv", "paths": (path,), "kafka": None})


def batch(count: int, poison: set[int] = frozenset(), step: int = 1) -> RawBatch:  # type: ignore[assignment]
    values = [b'{"content_id":"%s%d"}' % (b"poison" if n in poison else b"c", n) for n in range(count)]
    offsets = np.arange(count, dtype=np.int64) * step
    ends = np.cumsum([len(value) for value in values], dtype=np.int64)
    return RawBatch(
        Place("k", "t/0#1", 0, count * step), b"".join(values), True, False, messages=Messages(offsets, ends)
    )


def fails_on_poison(raw: RawBatch) -> tuple[str, RawBatch]:
    if b"poison" in raw.data:
        raise ZeroDivisionError
    return "read", raw


def refuse(raw: RawBatch) -> tuple[str, RawBatch]:
    return "refused", raw


@given(st.integers(1, 40), st.sets(st.integers(0, 39)), st.integers(1, 3))
def test_only_the_bad_ones_are_refused_and_the_parts_make_the_whole(count: int, poison: set[int], step: int) -> None:
    poison = {number for number in poison if number < count}
    raw = batch(count, poison, step)
    parts = list(isolated(raw, SPEC, fails_on_poison, refuse=refuse))
    refused = [int(part.messages.offsets[0]) // step for what, part in parts if what == "refused"]  # type: ignore[union-attr]
    assert refused == sorted(poison)
    assert b"".join(part.data for _, part in parts) == raw.data
    borders = [(part.place.start, part.place.end) for _, part in parts]
    assert borders[0][0] == raw.place.start
    assert borders[-1][1] == raw.place.end
    assert all(a[1] == b[0] for a, b in pairwise(borders))


def test_what_fails_once_is_tried_again() -> None:
    tries = []

    def shaky(raw: RawBatch) -> str:
        tries.append(raw)
        if len(tries) < TRIES:
            raise ValueError
        return "done"

    assert list(isolated(batch(3), SPEC, shaky, refuse=lambda _raw: "refused")) == ["done"]


@pytest.mark.parametrize("error", [BusyError("Held.", cure="Wait."), MemoryError(), OSError("disk")])
def test_what_is_none_of_the_message_s_doing_is_raised(error: Exception) -> None:
    def attempt(_raw: RawBatch) -> str:
        raise error

    with pytest.raises(type(error)):
        list(isolated(batch(4), SPEC, attempt, refuse=lambda _raw: "refused"))


def test_lines_are_taken_apart_where_records_begin() -> None:
    data = b'\na,b\n1,"x\npoison"\n2,y\npoison,z\n'
    raw = RawBatch(Place("f", "p", 7, 7 + len(data)), data, first=True, last=True)
    parts = list(isolated(raw, lines("x"), fails_on_poison, refuse=refuse))
    assert [part.data for what, part in parts if what == "refused"] == [b'1,"x\npoison"\n', b"poison,z\n"]
    assert b"".join(part.data for _, part in parts) == data
    assert [part.header for _, part in parts] == [b"", *[b"a,b"] * (len(parts) - 1)]
    assert [part.last for _, part in parts] == [False] * (len(parts) - 1) + [True]


def test_where_no_message_is_none_is_at_fault() -> None:
    with pytest.raises(ZeroDivisionError):
        list(isolated(batch(0, step=5), SPEC, lambda _raw: 1 // 0, refuse=lambda _raw: 0))


def plant(monkeypatch: pytest.MonkeyPatch, stage: str, *, error: type[Exception] = ZeroDivisionError) -> None:
    """Let a stage fail on every batch with a poisonous record."""
    decode, scan = Decoder.decode, detect.detected

    def bad_decode(self: Decoder, raw: RawBatch, *given: object, **named: object) -> object:
        if b"poison" in raw.data and not named.get("refused"):
            raise error
        return decode(self, raw, *given, **named)  # type: ignore[arg-type]

    def bad_scan(raw: RawBatch, decoded: DecodedBatch, *given: object) -> DetectedBatch:
        if any("poison" in str(found) for found in decoded.records.column("content_id").to_pylist()):
            raise error
        return scan(raw, decoded, *given)  # type: ignore[arg-type]

    if stage == "decode":
        monkeypatch.setattr(Decoder, "decode", bad_decode)
    else:
        monkeypatch.setattr(detect, "detected", bad_scan)


@pytest.mark.parametrize("stage", ["decode", "detect"])
def test_a_fault_in_either_stage_costs_one_message(store: Store, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    Ledger("k", store.catalogue).take_up(TopicPartition("t", 0, "id"), 0, 50)
    plant(monkeypatch, stage)
    with EmbeddedRunner(store, {"k": SPEC}) as runner:
        results = runner.run([batch(50, {17})])
    assert sum(result.records.get("content", 0) for result in results) == 49
    assert sum(result.unparsed.get("program_fault", 0) for result in results) == 1
    assert audit_coverage(store).findings == []
    # A message is longer than its place, which counts messages.
    assert audit_integrity(store, threads=1).findings == []
    merged = compact(store.catalogue, store.archive, plan(store.catalogue), progress=lambda *_: None)
    assert merged.replaced > 1
    assert audit_integrity(store, threads=1).findings == []


@pytest.mark.parametrize("stage", ["decode", "detect"])
def test_a_fault_costs_one_line_of_a_file(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Of a file whose header has a blank line before it; a disk that fails in between leaves the rest for later."""
    poison = {17, 44}
    rows = [f'{"poison" if n in poison else "c"}{n},"a, line\nof {n}"' for n in range(50)]
    (tmp_path / "a.csv").write_text("\n".join(["", "content_id,text", *rows, ""]), encoding="utf-8")
    spec = lines(str(tmp_path / "*.csv"))
    with monkeypatch.context() as patched, EmbeddedRunner(store, {"k": spec}) as runner:
        plant(patched, stage)
        commit = seal.commit_batch

        def breaks_off(catalogue: Catalogue, batch: BatchCommit, **named: object) -> object:
            if batch.start > 600:
                raise OSError("disk")
            return commit(catalogue, batch, **named)  # type: ignore[arg-type]

        patched.setattr(seal, "commit_batch", breaks_off)
        with pytest.raises(OSError, match="disk"):
            runner.run(FileSource(spec, store.catalogue, follow=False).plan(1 << 20))
    plant(monkeypatch, stage)
    with EmbeddedRunner(store, {"k": spec}) as runner:
        (rest,) = (source := FileSource(spec, store.catalogue, follow=False)).plan(1 << 20)
        assert rest.place.start > 0, "what was committed is not read again"
        runner.run([rest])
        assert source.plan(1 << 20) == []
    kept = segment_rows(store, "unparsed")
    assert [row["error_code"] for row in kept] == ["program_fault"] * 2
    assert sorted(row["raw"] for row in kept) == sorted(rows[n].encode() for n in poison)
    read = sorted((row["log_offset"], row["content_id"]) for row in segment_rows(store, "content"))
    assert [name for _, name in read] == [f"c{n}" for n in range(50) if n not in poison]
    assert {f.kind for f in audit_coverage(store).findings + audit_integrity(store, threads=1).findings} <= {"orphan"}


def test_a_fault_costs_one_line_that_the_collector_took(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SPEC.model_copy(update={"kind": "collector", "kafka": None})
    values = [b'{"content_id":"%s%d"}\n' % (b"poison" if n == 3 else b"c", n) for n in range(8)]
    plant(monkeypatch, "decode")
    with Journal(tmp_path, PlainBodies(), CollectorSettings(reserve_megabytes=0), lambda _names: {}) as journal:
        journal.take(b"".join(values), len(values))
        source = JournalSource(spec, store.catalogue, tmp_path, PlainBodies())
        with EmbeddedRunner(store, {"k": spec}) as runner:
            runner.run(source.plan(1 << 20))
        assert source.done()
    assert [row["raw"] for row in segment_rows(store, "unparsed")] == [values[3].removesuffix(b"\n")]
    assert len(segment_rows(store, "content")) == 7
    assert audit_coverage(store).findings == []
