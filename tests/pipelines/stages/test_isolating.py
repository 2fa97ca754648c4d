"""A message on which the program fails is archived as it came, alone; everything around it goes its way."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import BusyError
from pipelines.batches import DetectedBatch, Messages, Place, RawBatch
from pipelines.decode.decoder import Decoder
from pipelines.embedded import EmbeddedRunner
from pipelines.sources.kafka_ledger import Ledger, TopicPartition
from pipelines.sources.spec import SourceSpec
from pipelines.stages import detect
from pipelines.stages.isolating import TRIES, isolated
from retention.audits.coverage import audit_coverage
from retention.audits.integrity import audit_integrity
from retention.compaction.merge import compact, plan
from retention.store import Store

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
    parts = list(isolated(raw, fails_on_poison, refuse=refuse))
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

    assert list(isolated(batch(3), shaky, refuse=lambda _raw: "refused")) == ["done"]


@pytest.mark.parametrize("error", [BusyError("Held.", cure="Wait."), MemoryError(), OSError("disk")])
def test_what_is_none_of_the_message_s_doing_is_raised(error: Exception) -> None:
    def attempt(_raw: RawBatch) -> str:
        raise error

    with pytest.raises(type(error)):
        list(isolated(batch(4), attempt, refuse=lambda _raw: "refused"))


def test_files_are_not_taken_apart() -> None:
    raw = RawBatch(Place("f", "p", 0, 9), b"poison a\n", True, True)
    with pytest.raises(ZeroDivisionError):
        list(isolated(raw, fails_on_poison, refuse=refuse))


@pytest.mark.parametrize("stage", ["decode", "detect"])
def test_a_fault_in_either_stage_costs_one_message(store: Store, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    Ledger("k", store.catalogue).take_up(TopicPartition("t", 0, "id"), 0, 50)
    decode, scan = Decoder.decode, detect.detected

    def bad_decode(self: Decoder, raw: RawBatch, *given: object, **named: object) -> object:
        if b"poison" in raw.data and not named.get("refused"):
            raise ZeroDivisionError
        return decode(self, raw, *given, **named)  # type: ignore[arg-type]

    def bad_scan(raw: RawBatch, decoded: object, *given: object) -> DetectedBatch:
        if any("poison" in str(found) for found in decoded.records.column("content_id").to_pylist()):  # type: ignore[attr-defined]
            raise ZeroDivisionError
        return scan(raw, decoded, *given)  # type: ignore[arg-type]

    if stage == "decode":
        monkeypatch.setattr(Decoder, "decode", bad_decode)
    else:
        monkeypatch.setattr(detect, "detected", bad_scan)
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
