"""A small sealed archive for tests: real keys, real segments, a real catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from retention.catalogue import progress
from retention.catalogue.commit import BatchCommit, commit_batch
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.crypto.bodies import BodyCipher
from retention.crypto.suites import suite
from retention.keys.keyring import Cost, KeyRing
from retention.keys.periods import PeriodKeys
from retention.manifest import SegmentManifest, SegmentPlace
from retention.objects.local import LocalObjects
from retention.schema import RECORD_SCHEMA
from retention.segments import Archive, write_segment

START = datetime(2026, 3, 1, tzinfo=UTC)
CHEAP = Cost(memory_kib=64, iterations=1)


@dataclass(slots=True)
class SealedStore:
    """The parts of an open store that asking and proving need."""

    root: Path
    catalogue: Catalogue
    objects: LocalObjects
    archive: Archive
    bodies: BodyCipher
    period_keys: PeriodKeys

    def add(
        self,
        rows: Iterable[dict[str, Any]],
        *,
        record_class: str = "user_log",
        source: str = "app",
        partition: str = "app.log#1",
        period: str = "2026-03",
    ) -> SegmentManifest:
        """Commit rows as one batch; each is a line of 10 bytes behind the partition's last."""
        given = list(rows)
        with self.catalogue.read() as connection:
            known = {p.partition: p.cursor for p in progress.partitions(connection, source)}
        if partition not in known:
            with self.catalogue.write() as connection:
                progress.add_partition(connection, source=source, partition=partition, path=partition, generation=1)
        begin = known.get(partition, 0)
        end = begin + 10 * len(given)
        table = records(given, source=source, partition=partition, begin=begin)
        place = SegmentPlace(source, partition, begin, end, len(given))
        manifest = write_segment(self.archive, table, record_class=record_class, period=period, places=(place,))
        commit_batch(
            self.catalogue,
            BatchCommit(source, partition, begin, end, len(given), headers=0, blanks=0, segments=(manifest,)),
        )
        return manifest


def records(given: list[dict[str, Any]], *, source: str, partition: str, begin: int) -> pa.RecordBatch:
    """Rows in the record schema; what is not given is null, or follows from the place."""
    full = [
        {
            "log_source": source,
            "log_partition": partition,
            "log_offset": begin + 10 * number,
            "log_length": 10,
            "event_ingested": START,
            "raw": b"123456789",
            **row,
        }
        for number, row in enumerate(given)
    ]
    return pa.RecordBatch.from_pylist(full, schema=RECORD_SCHEMA)


def make_store(root: Path, catalogue_url: str | None = None) -> SealedStore:
    """A fresh store below ``root``, its catalogue there too unless another place is given; a key ring cheap to open."""
    chosen = suite()
    ring = KeyRing.create(root / "keyring.json", "a passphrase of tests", cost=CHEAP)
    keys = PeriodKeys.open(f"sqlite:///{root / 'periods.db'}", ring, create=True)
    catalogue = Catalogue.open(catalogue_url or f"sqlite:///{root / 'catalogue.db'}")
    migrate(catalogue)
    objects = LocalObjects(root / "objects")
    return SealedStore(
        root=root,
        catalogue=catalogue,
        objects=objects,
        archive=Archive(objects, keys, chosen),
        bodies=BodyCipher.from_period_keys(keys, chosen, "bodies"),
        period_keys=keys,
    )


def hours(count: int, *, first: datetime = START, **columns: Any) -> list[dict[str, Any]]:
    """Rows one hour apart, of ten users in turn."""
    return [
        {"event_time": first + timedelta(hours=n), "user_id": f"u{n % 10}", "event_id": f"e{n}", **columns}
        for n in range(count)
    ]
