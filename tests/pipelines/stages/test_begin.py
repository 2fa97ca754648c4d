"""Nothing is marked as begun while what is loaded late may still end the process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import under_way
from pipelines.batches import Guard, Messages, Place, RawBatch
from pipelines.job import Job, JobOptions
from pipelines.sources.spec import SourceSpec
from pipelines.stages import begin, detect
from pipelines.stores import StoreRef, register
from retention.store import Store
from tests.pipelines.sources.mock_kafka import spec

FORMATS = ("ndjson", "csv", "combined", "syslog")


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


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_record_of_any_format_passes(store: Store, form: str) -> None:
    source = spec("127.0.0.1:9092").model_copy(
        update={"format": form, "csv_columns": ("content_id", "text") if form == "csv" else None}
    )
    stage: Any = begin._Begin(register(store), {"k": source}, f"a job of {form}", None)
    assert list(stage.work(raw := guarded("t/0#1"))) == [raw]


def test_what_fails_on_an_empty_record_is_held_against_none(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules that cannot be loaded, say: the run ends, and the next one reads everything."""
    (tmp_path / "a.log").write_bytes(b'{"content_id":"c1"}\n{"content_id":"c2"}\n')
    files = {"kind": "files", "paths": (str(tmp_path / "*.log"),), "kafka": None}
    specs = [spec("127.0.0.1:9092").model_copy(update=files)]

    def broken(*_given: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(begin, "detected", broken)
        patched.setattr(detect, "detected", broken)
        with pytest.raises(ZeroDivisionError):
            Job(store, specs, JobOptions()).run()
    summary = Job(store, specs, JobOptions()).run()
    assert (summary.records_in, dict(summary.unparsed)) == (2, {})
