"""Nothing is marked as begun while what is loaded late may still end the process."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from pipelines import under_way
from pipelines.batches import Guard, Messages, Place, RawBatch
from pipelines.sources.spec import SourceSpec
from pipelines.stages import begin
from pipelines.stores import StoreRef, register
from retention.store import Store
from tests.pipelines.sources.mock_kafka import spec


def guarded(partition: str) -> RawBatch:
    one = Messages(np.zeros(1, np.int64), np.full(1, 2, np.int64))
    return RawBatch(Place("k", partition, 0, 1), b"{}", first=True, last=False, messages=one, guard=Guard())


def test_a_batch_of_another_thread_is_not_marked_before_the_rehearsal_is_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsing, go_on = threading.Event(), threading.Event()
    said: list[str] = []

    def rehearsal(*_given: object) -> None:
        rehearsing.set()
        assert go_on.wait(60)
        said.append("rehearsed")

    def mark(_job: str, _catalogue: object, _spec: SourceSpec, raw: RawBatch) -> None:
        said.append(raw.place.partition)

    monkeypatch.setattr(begin, "detected", rehearsal)
    monkeypatch.setattr(under_way, "begin", mark)
    ref: StoreRef = register(store)
    stage: Any = begin._Begin(ref, {"k": spec("127.0.0.1:9092")}, "a job of its own", None)
    batches = [guarded(f"t/{n}#1") for n in range(2)]
    threads = [threading.Thread(target=lambda raw=raw: list(stage.work(raw))) for raw in batches]
    threads[0].start()
    assert rehearsing.wait(60)
    threads[1].start()
    threads[1].join(0.3)
    assert said == []
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert said[0] == "rehearsed"
    assert sorted(said[1:]) == ["t/0#1", "t/1#1"]
