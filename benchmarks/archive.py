"""The archive against its bare native stages: sealing a batch, scanning, and looking up one row group.

One run, one thread, each comparison with its two sides in turn, so that the ratios hold on any machine.
Sealing is compared with Parquet encoding, AEAD, two digests and a synced file, each as one bare native
call; reading with the same Parquet file unencrypted, read by Arrow from the file system.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from benchmarks import traffic
from pipelines.batches import Place, RawBatch
from pipelines.decode import decoder
from pipelines.sources.spec import SourceSpec
from retention.crypto.ciphers import CHUNK_BYTES, TAG_BYTES
from retention.crypto.suites import NAMES, Suite, suite
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from retention.manifest import SegmentManifest, SegmentPlace
from retention.objects.local import LocalObjects
from retention.plaintext import encode
from retention.segments import Archive, open_segment, write_segment

BATCH = 24_000
ROWS = 240_000
ROUNDS = 7
TARGETS = {"SM4-GCM-SM3": (1.6, 2.0), "AES-256-GCM-SHA256": (1.15, 1.5)}
"""Scan and look-up, as multiples of the plain file's time."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seconds of both sides (medians), and the median of the rounds' ratios."""

    name: str
    bare: float
    ours: float
    ratio: float


def compare(name: str, bare: Callable[[], object], ours: Callable[[], object], rounds: int = ROUNDS) -> Comparison:
    """Both sides in turn, after one round that warms."""
    bare(), ours()
    pairs = [(_seconds(bare), _seconds(ours)) for _ in range(rounds)]
    return Comparison(
        name,
        statistics.median(one for one, _ in pairs),
        statistics.median(other for _, other in pairs),
        statistics.median(other / one for one, other in pairs),
    )


def records(count: int) -> pa.Table:
    """So many records of about 350 bytes of ndjson, decoded."""
    spec = SourceSpec.model_validate(
        {"name": "bench.archive", "record_class": "content", "format": "ndjson", "paths": ("bench",)}
    )
    made, batches, at = decoder(spec), [], 0
    lines = (line.encode() + b"\n" for line in traffic.lines(count))
    for _ in range(0, count, BATCH):
        data = b"".join(line for _, line in zip(range(BATCH), lines, strict=False))
        raw = RawBatch(Place(spec.name, "bench", at, at + len(data)), data, first=at == 0, last=False)
        batches.append(made.decode(raw, datetime(2026, 11, 1, tzinfo=UTC)).records)
        at += len(data)
    return pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()


def sealing(archive: Archive, table: pa.Table, folder: Path) -> Comparison:
    """Writing a segment against its bare stages."""
    batch = table.slice(0, BATCH)
    place = (SegmentPlace("bench", "bench", 0, 1, batch.num_rows),)
    cipher = archive.suite.cipher(bytes(archive.suite.key_bytes))
    numbers = iter(range(10_000))

    def bare() -> None:
        plaintext = memoryview(encode(batch)).cast("B")
        sealed = bytearray(len(plaintext) + TAG_BYTES * max(1, -(-len(plaintext) // CHUNK_BYTES)))
        cipher.seal_chunks(bytes(12), 0, plaintext, memoryview(sealed))
        archive.suite.hash(plaintext)
        archive.suite.hash(sealed)
        LocalObjects(folder / f"bare-{archive.suite.name}").put(f"object-{next(numbers)}", sealed)

    return compare(
        f"seal {BATCH:,} records",
        bare,
        lambda: write_segment(archive, batch, record_class="content", period="2026-10", places=place),
    )


def scanning(archive: Archive, manifest: SegmentManifest, plain: Path) -> list[Comparison]:
    """Reading all of a segment, and some columns of it, against the plain file."""
    narrow = ["user_id", "event_time", "amount"]

    def sealed(columns: list[str] | None) -> pa.Table:
        return _table(open_segment(archive, manifest).fragment(), columns)

    def unsealed(columns: list[str] | None) -> pa.Table:
        return _table(ds.ParquetFileFormat().make_fragment(str(plain), LocalFileSystem()), columns)

    return [
        compare("scan all columns", lambda: unsealed(None), lambda: sealed(None)),
        compare("scan three columns", lambda: unsealed(narrow), lambda: sealed(narrow)),
    ]


def looking_up(archive: Archive, manifest: SegmentManifest, plain: Path, table: pa.Table) -> list[Comparison]:
    """One row by its offset in the source, which lies in one row group; opening the segment included."""
    offset = table.column("log_offset")[ROWS // 2].as_py()
    wanted = pc.field("log_offset") == offset

    def whole(fragment: ds.Fragment) -> None:
        found = fragment.to_table(filter=wanted, use_threads=False)
        assert found.num_rows == 1

    def group(file: pq.ParquetFile) -> None:
        assert file.read_row_group(1, use_threads=False).num_rows

    return [
        compare(
            "look up one row",
            lambda: whole(ds.ParquetFileFormat().make_fragment(str(plain), LocalFileSystem())),
            lambda: whole(open_segment(archive, manifest).fragment()),
        ),
        compare(
            "read one row group",
            lambda: group(pq.ParquetFile(plain)),
            lambda: group(open_segment(archive, manifest).parquet()),
        ),
    ]


def verifying(archive: Archive, manifest: SegmentManifest) -> float:
    """MB/s of a full verification."""
    spent = statistics.median(_seconds(lambda: open_segment(archive, manifest).verify()) for _ in range(3))
    return manifest.bytes_stored / spent / 1e6


def chunk_sizes(chosen: Suite) -> dict[int, float]:
    """MB/s of the AEAD alone by size of a piece: what the construction's 16 KiB cost."""
    cipher, rates = chosen.cipher(bytes(chosen.key_bytes)), {}
    data = bytes(4 << 20)
    for size in (4096, CHUNK_BYTES, 65_536, 262_144):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        spent = min(_seconds(lambda: [cipher.seal(bytes(12), piece, b"") for piece in pieces]) for _ in range(5))  # noqa: B023
        rates[size] = len(data) / spent / 1e6
    return rates


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one suite."""

    suite: str
    implementation: str
    comparisons: list[Comparison]
    verify_mb_s: float
    aead_mb_s: dict[int, float]

    @property
    def missed(self) -> list[str]:
        """Targets that were missed, in words."""
        scan, look_up = TARGETS[self.suite]
        found = {item.name: item.ratio for item in self.comparisons}
        wanted = {"scan all columns": scan, "look up one row": look_up}
        return [f"{name}: {found[name]:.2f} x, target {limit}" for name, limit in wanted.items() if found[name] > limit]

    def as_json(self) -> dict[str, object]:
        """The figures as ``bench archive --json`` prints them."""
        return {
            "suite": self.suite,
            "implementation": self.implementation,
            "comparisons": [
                {"name": c.name, "bare_ms": c.bare * 1e3, "sealed_ms": c.ours * 1e3, "ratio": c.ratio}
                for c in self.comparisons
            ],
            "verify_mb_s": self.verify_mb_s,
            "aead_mb_s": {str(size): rate for size, rate in self.aead_mb_s.items()},
            "missed": self.missed,
        }

    def lines(self) -> list[str]:
        """The figures for a reader."""
        rows = [f"{self.suite} by {self.implementation}"]
        for item in self.comparisons:
            rows.append(
                f"  {item.name:<22}{item.bare * 1e3:8.1f} ms bare{item.ours * 1e3:8.1f} ms sealed{item.ratio:7.2f} x"
            )
        rows.append(f"  verify in full        {self.verify_mb_s:8.0f} MB/s")
        sizes = ", ".join(f"{size // 1024} KiB {rate:,.0f}" for size, rate in self.aead_mb_s.items())
        rows.append(f"  AEAD by piece, MB/s   {sizes}")
        scan, look_up = TARGETS[self.suite]
        verdict = "; ".join(self.missed) or "met"
        rows.append(f"  targets: scan {scan} x, look-up {look_up} x: {verdict}")
        return rows


def measure() -> list[Figures]:
    """All comparisons of both suites."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    table = records(ROWS)
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = folder / "plain.parquet"
        plain.write_bytes(encode(table))
        ring = KeyRing.create(folder / "ring.json", "p")
        keys = PeriodKeys.open(f"sqlite:///{folder / 'periods.db'}", ring, create=True)
        for suite_name in NAMES:
            archive = Archive(LocalObjects(folder / suite_name), keys, suite(suite_name))
            manifest = write_segment(
                archive, table, record_class="content", period="2026-10", places=(SegmentPlace("b", "b", 0, 1, ROWS),)
            )
            comparisons = [
                sealing(archive, table, folder),
                *scanning(archive, manifest, plain),
                *looking_up(archive, manifest, plain, table),
            ]
            found.append(
                Figures(
                    suite_name,
                    archive.suite.implementation,
                    comparisons,
                    verifying(archive, manifest),
                    chunk_sizes(archive.suite),
                )
            )
        keys.close()
    return found


def _table(fragment: ds.Fragment, columns: list[str] | None) -> pa.Table:
    return fragment.to_table(columns=columns, use_threads=False)


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
