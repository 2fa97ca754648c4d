"""The account of a run on a cluster: what the catalogue says is what the collectors say, whatever comes after."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import StorageError
from pipelines.job import Job, JobOptions
from pipelines.runners.account import Account, Pace
from pipelines.sources.spec import SourceSpec
from pipelines.summary import RunSummary
from retention.catalogue.tables import segments
from retention.compaction.merge import compact, plan
from retention.store import Store

ILLEGAL = "稳赚不赔的百家乐平台，加微信 abc12345 领彩金"


def source(folder: Path, name: str) -> SourceSpec:
    (folder / name).mkdir(exist_ok=True)
    fields = {"name": name, "paths": [f"{folder}/{name}/*.ndjson"], "record_class": "content", "format": "ndjson"}
    return SourceSpec.model_validate({**fields, "published": {"text": True}})


def take_in(store: Store, folder: Path, name: str, numbers: range) -> RunSummary:
    spec = source(folder, name)
    lines = [
        json.dumps({"content_id": f"c{n}", "text": f"{ILLEGAL} {n}" if n % 10 == 0 else "好"}, ensure_ascii=False)
        for n in numbers
    ]
    (folder / name / f"{numbers.start}.ndjson").write_text("\n".join([*lines, "broken", ""]) + "\n", encoding="utf-8")
    return Job(store, [spec], JobOptions(batch_bytes=2000)).run()


def same(account: RunSummary, said: RunSummary) -> None:
    for name in ("records", "findings", "skipped", "segments", "tickets_opened", "batches"):
        assert getattr(account, name) == getattr(said, name), name
    assert account.bytes_stored == said.bytes_stored


def test_the_account_says_what_the_collector_says_once_each(store: Store, tmp_path: Path) -> None:
    take_in(store, tmp_path, "ours", range(100))
    account = Account(store.catalogue, ["ours"])
    assert account.summary().records == Counter()
    first = take_in(store, tmp_path, "ours", range(100, 300))
    take_in(store, tmp_path, "another", range(50))
    assert first.batches > 3
    same(account.summary(), first)
    same(account.summary(), first)
    second = take_in(store, tmp_path, "ours", range(300, 350))
    both = account.summary()
    assert both.records == first.records + second.records
    assert (both.batches, both.segments) == (first.batches + second.batches, first.segments + second.segments)
    assert both.findings == first.findings + second.findings
    assert both.tickets_opened == first.tickets_opened + second.tickets_opened


def test_merging_makes_no_records(store: Store, tmp_path: Path) -> None:
    """A merged segment is as new as its merging, and holds what earlier runs brought."""
    take_in(store, tmp_path, "ours", range(100))
    account = Account(store.catalogue, ["ours"])
    said = take_in(store, tmp_path, "ours", range(100, 200))
    counted = Account(store.catalogue, ["ours"])
    with store.catalogue.read() as connection:
        before = connection.execute(sa.select(sa.func.count()).select_from(segments)).scalar_one()
    compact(store.catalogue, store.archive, plan(store.catalogue), progress=lambda *_: None)
    with store.catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(segments)).scalar_one() < before
    assert account.summary().records == said.records, "also where it was merged before it was counted"
    assert counted.summary().records == Counter()


def test_a_catalogue_that_fails_half_way_is_counted_again_from_where_it_was(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = Account(store.catalogue, ["ours"])
    said = take_in(store, tmp_path, "ours", range(100))

    def fail(_self: Account, _connection: object, _summary: object) -> None:
        raise StorageError("The catalogue cannot be read.", cure="-")

    with monkeypatch.context() as patch:
        patch.setattr(Account, "_add_findings", fail)
        with pytest.raises(StorageError):
            account.summary()
    same(account.summary(), said)


def test_counting_takes_a_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("pipelines.runners.account.time.monotonic", lambda: now[0])
    pace = Pace(0.05)
    assert pace.due()
    pace.took(3.0)
    now[0] += 59
    assert not pace.due()
    now[0] += 2
    assert pace.due()
