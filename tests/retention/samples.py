"""Small archives and records for the archive's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from retention.crypto.suites import DEFAULT, suite
from retention.keys.keyring import Cost, KeyRing
from retention.keys.periods import PeriodKeys
from retention.manifest import SegmentManifest, SegmentPlace
from retention.objects.base import ObjectStore
from retention.objects.memory import MemoryObjects
from retention.schema import RECORD_SCHEMA
from retention.segments import Archive, write_segment

CHEAP = Cost(memory_kib=64, iterations=1)
START = datetime(2026, 10, 3, tzinfo=UTC)


def records(count: int, *, first: int = 0) -> pa.RecordBatch:
    """Records with something in most kinds of columns."""
    rows = [
        {field.name: None for field in RECORD_SCHEMA}
        | {
            "log_source": "shop",
            "log_partition": "shop/a.log#1",
            "log_offset": number * 40,
            "log_length": 40,
            "event_ingested": START + timedelta(days=1),
            "event_time": START + timedelta(seconds=number),
            "user_id": f"u{number * 7919 % 1000:04d}",
            "amount": Decimal(number) / 100,
            "text": f"直播间评论 {number}",
            "extra": [("room", str(number % 9))],
            "raw": f'{{"n":{number:08d}}}'.encode(),
        }
        for number in range(first, first + count)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=RECORD_SCHEMA)


def period_keys(folder: Path) -> PeriodKeys:
    """A key ring and a store of period keys in a folder."""
    ring = KeyRing.create(folder / "keyring.json", "passphrase", cost=CHEAP)
    return PeriodKeys.open(f"sqlite:///{folder / 'periods.db'}", ring, create=True)


def archive(folder: Path, name: str = DEFAULT, objects: ObjectStore | None = None) -> Archive:
    """An archive with its keys in a folder and its objects in memory."""
    return Archive(objects if objects is not None else MemoryObjects(), period_keys(folder), suite(name))


def segment(in_archive: Archive, count: int = 500, *, first: int = 0) -> SegmentManifest:
    """Write a segment of so many sample records."""
    return write_segment(
        in_archive,
        records(count, first=first),
        record_class="content",
        period="2026-10",
        places=(SegmentPlace("shop", "shop/a.log#1", first * 40, (first + count) * 40, count),),
    )
