"""A record that kills the process is archived as it came; what is only near it, or was killed by others, is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from pipelines.sources.spec import SourceSpec
from retention.audits.integrity import audit_integrity
from retention.catalogue.tables import attempts, events, segments
from retention.manifest import SegmentManifest
from retention.segments import open_segment
from retention.store import Store
from tests.pipelines.sources.mock_kafka import PARTITIONS, TOPIC, Brokers, faults, spec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TRIES = 3


def run_through(store: Store, source: SourceSpec, *, kills: int = 0, **options: float) -> dict[str, Any]:
    """Run a source until it is through, ``kills`` of the runs being stopped; what became of the processes."""
    given = {"batch_bytes": 8 << 20, "pause": 0.0, "seed": 5, "within": 1.0, "kills": kills, **options}
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipelines.stages.deadly_records", str(store.root)],
        input=json.dumps(given | {"specs": [source.model_dump(mode="json")]}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def rows(store: Store, record_class: str) -> list[dict[str, Any]]:
    with store.catalogue.read() as connection:
        s = segments.c
        chosen = connection.execute(sa.select(s.manifest).where(s.record_class == record_class)).scalars()
        found = [SegmentManifest.from_bytes(bytes(manifest)) for manifest in chosen]
    tables = [open_segment(store.archive, manifest).parquet().read() for manifest in found]
    return pa.concat_tables(tables).to_pylist() if tables else []


def condemned(store: Store) -> list[dict[str, Any]]:
    with store.catalogue.read() as connection:
        e = events.c
        said = connection.execute(sa.select(e.body).where(e.kind == "source.condemned").order_by(e.id)).scalars()
        return [json.loads(body) for body in said]


def prove(store: Store, healthy: set[str], deadly: set[bytes]) -> None:
    """The archive holds the input, record for record; what was deadly once, unread, with its bytes."""
    kept = rows(store, "unparsed")
    assert sorted(row["raw"] for row in kept) == sorted(deadly)
    assert {row["error_code"] for row in kept} <= {"program_fault"}
    assert sorted(row["content_id"] for row in rows(store, "content")) == sorted(healthy)
    assert [(body["tries"], body["source"]) for body in condemned(store)] == [(TRIES, "k")] * len(deadly)
    assert [kind for kind, _ in faults(store) if kind != "orphan"] == []
    assert [finding.kind for finding in audit_integrity(store, threads=1).findings if finding.kind != "orphan"] == []
    with store.catalogue.read() as connection:
        assert connection.execute(sa.select(attempts)).all() == []


def written(brokers: Brokers, count: int, poison: dict[int, str]) -> list[bytes]:
    """Numbered messages, in turn over the partitions; some of them deadly."""
    values = [b'{"content_id":"%s"}' % poison.get(n, f"c{n}").encode() for n in range(count)]
    for number, value in enumerate(values):
        brokers.producer.produce(TOPIC, value, partition=number % PARTITIONS)
    assert brokers.producer.flush(30) == 0
    return values


def test_messages_that_kill_the_process_are_kept_and_hold_up_nothing(store: Store, brokers: Brokers) -> None:
    """Two neighbours in one partition, and one in another."""
    count, poison = 240, {81: "poison-exit", 85: "poison-kill", 202: "poison-exit again"}
    values = written(brokers, count, poison)
    found = run_through(store, spec(brokers.address))
    assert set(found["deaths"]) == {139, -9}
    # Each: unmarked, if it was not in the first batch; the whole, a part of it, and alone.
    assert len(found["deaths"]) <= len(poison) * (1 + TRIES + 1 + TRIES)
    assert "is archived unread: 3 workers died over it, one by one" in found["said"]
    prove(store, {f"c{n}" for n in range(count) if n not in poison}, {values[n] for n in poison})


@pytest.mark.parametrize("deadly", [0, 57])
def test_a_line_of_a_file_that_kills_the_process_is_kept(store: Store, tmp_path: Path, deadly: int) -> None:
    """Of a file with a header, in its first planned range."""
    lines = [f'c{n},"a, line\nof {n}"' if n != deadly else f"poison-kill,{n}" for n in range(100)]
    (tmp_path / "a.csv").write_text("\n".join(["content_id,note", *lines, ""]), encoding="utf-8")
    source = SourceSpec.model_validate(
        {"name": "k", "record_class": "content", "format": "csv", "paths": [str(tmp_path / "*.csv")]}
    )
    found = run_through(store, source)
    # The first was not marked: what nobody planned before was not begun before.
    assert len(found["deaths"]) == 1 + TRIES + 1 + TRIES
    prove(store, {f"c{n}" for n in range(100) if n != deadly}, {lines[deadly].encode()})
    assert dict(rows(store, "content")[0]["extra"])["note"].startswith("a, line\nof ")


def test_a_healthy_message_is_not_condemned_for_workers_that_others_killed(store: Store, brokers: Brokers) -> None:
    """Killed at random moments, most of them before the first batch of a partition is committed."""
    count = 600
    written(brokers, count, {})
    found = run_through(store, spec(brokers.address), kills=14, within=1.2, pause=0.15, batch_bytes=2 << 10)
    assert len(found["deaths"]) >= 10
    prove(store, {f"c{n}" for n in range(count)}, set())
