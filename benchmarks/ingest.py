"""Ingest end to end against the bare native stages, both on one core in the same run: ``liucun bench ingest``.

The bare stages are what no pipeline can leave out, each as one native call over a batch
(facts page, R1): parse, offsets, scan, score, Parquet with the raw bytes, SM4-GCM and
SM3. The ratio is the price of everything else: the graph, exactness, the catalogue.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from benchmarks.memory import peak_bytes
from benchmarks.traffic import write
from detectors.default import default_detector
from retention.crypto.suites import suite

BATCH = 8 << 20


@dataclass(frozen=True, slots=True)
class IngestFigures:
    """Seconds and bytes of one comparison. ``ratio``: records a second of the pipeline over those of the stages."""

    records: int
    bytes_in: int
    stages: dict[str, float]
    bare_seconds: float
    pipeline_seconds: float
    peak_bytes: int

    @property
    def ratio(self) -> float:
        """Pipeline over bare stages; 1 would mean that everything else is free."""
        return self.bare_seconds / self.pipeline_seconds

    def as_json(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "records": self.records,
            "bytes_in": self.bytes_in,
            "bare_records_per_second": round(self.records / self.bare_seconds),
            "records_per_second": round(self.records / self.pipeline_seconds),
            "megabytes_per_second": round(self.bytes_in / 1e6 / self.pipeline_seconds, 1),
            "ratio": round(self.ratio, 3),
            "peak_megabytes": round(self.peak_bytes / 1e6),
            "stages_us_per_record": {k: round(v / self.records * 1e6, 3) for k, v in self.stages.items()},
        }


def measure(records: int = 500_000) -> IngestFigures:
    """Write traffic, run the bare stages and the pipeline over it on one core each, and compare."""
    with tempfile.TemporaryDirectory(prefix="liucun-bench-") as folder:
        source = Path(folder) / "traffic.ndjson"
        size = write(source, records)
        core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        stages = _in_process(_bare_command(source), core)
        run = _in_process(_run_command(Path(folder), source), core)
        if run["records_in"] != records:
            raise RuntimeError(f"the pipeline archived {run['records_in']} of {records} records")
        return IngestFigures(
            records, size, stages["stages"], sum(stages["stages"].values()), float(run["seconds"]), run["peak_bytes"]
        )


def bare_stages(path: Path) -> dict[str, float]:
    """Seconds of each stage over a file of NDJSON, batch by batch, warmed up."""
    pa.set_cpu_count(1)
    used = suite("SM4-GCM-SM3")
    detector = default_detector()
    detector.detect(pa.array(["热身 warm-up"] * 4096))
    spent: dict[str, float] = {}

    def timed(name: str, began: float) -> None:
        spent[name] = spent.get(name, 0.0) + time.perf_counter() - began

    for data in _batches(path):
        began = time.perf_counter()
        options = pj.ReadOptions(use_threads=False, block_size=len(data) + 1)
        table = pj.read_json(pa.BufferReader(data), read_options=options).combine_chunks()
        timed("parse", began)
        began = time.perf_counter()
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
        offsets = np.concatenate(([0], ends)).astype(np.int32)
        raw = pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
        timed("offsets", began)
        began = time.perf_counter()
        detector.detect(pc.cast(table.column("text").chunk(0), pa.string()))
        timed("scan and score", began)
        began = time.perf_counter()
        sink = pa.BufferOutputStream()
        flat = table.flatten().append_column("raw", raw)
        pq.write_table(flat, sink, compression="zstd", compression_level=1, use_dictionary=["event_action"])
        parquet = sink.getvalue()
        timed("parquet", began)
        began = time.perf_counter()
        sealed = used.seal(secrets.token_bytes(used.key_bytes), bytes(12), memoryview(parquet), b"")
        used.hash(sealed)
        timed("sm4 and sm3", began)
    return spent


def _batches(path: Path) -> Any:
    with path.open("rb") as file:
        rest = b""
        while block := file.read(BATCH):
            data = rest + block
            cut = data.rfind(b"\n") + 1
            rest = data[cut:]
            yield data[:cut]


def _bare_command(source: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.ingest", "bare", str(source)]


def _run_command(folder: Path, source: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.ingest", "pipeline", str(source), str(folder / "store")]


def _in_process(command: list[str], core: int | None) -> dict[str, Any]:
    """Run a part in a process of its own, on one core, and return what it printed."""
    pinned = ["taskset", "-c", str(core), *command] if core is not None and sys.platform == "linux" else command
    done = subprocess.run(pinned, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _pipeline(source: Path, store: Path) -> dict[str, Any]:
    from liucun.store import prepare_tables
    from pipelines.job import Job, JobOptions
    from pipelines.sources.spec import parse_spec
    from retention.store import Store, StoreSettings

    pa.set_cpu_count(1)
    secret = secrets.token_urlsafe(16)
    Store.create(store, StoreSettings(), secret)
    with Store.open(store, StoreSettings(), secret) as opened:
        prepare_tables(opened.catalogue)
        default_detector().detect(pa.array(["热身 warm-up"] * 4096))
        spec = parse_spec(f"content:ndjson:{source}", published=True)
        summary = Job(opened, [spec], JobOptions()).run().as_json()
    peak = peak_bytes()
    return {**summary, "peak_bytes": peak}


def main() -> None:
    """Run one part for ``measure`` and print its JSON."""
    part, source = sys.argv[1], Path(sys.argv[2])
    answer = {"stages": bare_stages(source)} if part == "bare" else _pipeline(source, Path(sys.argv[3]))
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
