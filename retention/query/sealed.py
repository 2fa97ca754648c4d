"""Sealed segments as Arrow datasets that open a segment, and decrypt of it, only what a query touches.

DuckDB hands the columns and filters of a scan to ``scanner``. Segments whose times
contradict the filter are left out by their catalogue row alone; the others are opened
when their turn comes, and read chunk by chunk. Where the filter names an account, an order,
an address or a device, the segments' postings say which blocks to read instead.
"""

from __future__ import annotations

import io
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds
import sqlalchemy as sa

from errors import LiucunError
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import segments as segment_table
from retention.lookups.narrow import LookUp
from retention.manifest import SegmentManifest
from retention.persons.restriction import PERSON_COLUMNS
from retention.query.asked import asked_of
from retention.query.errors import bare
from retention.query.looking_up import LOCAL_THREADS, Found, as_records, look_up_rows
from retention.query.proving import possible
from retention.schema import RECORD_SCHEMA
from retention.segments import Archive, SegmentFile, open_segment
from retention.transparency.receipts import newest_state

FRAGMENT_READAHEAD: Final = 2
"""Segments that a scan reads at a time; more costs memory and wins nothing on few cores."""
BATCH_READAHEAD: Final = 4
DRAIN_SECONDS: Final = 10.0
_ENDED: Final = "the query has ended"
_GROUP: Final = 64
_MANIFESTS_AT_ONCE: Final = 200
"""Manifests that one statement fetches for a look-up; one that merged many places has up to a megabyte."""
_NONE: Final[Mapping[str, SegmentManifest]] = {}
_TIME_TYPE: Final = RECORD_SCHEMA.field("event_time").type


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """What the catalogue says of a segment, as far as choosing it needs."""

    segment_id: str
    record_class: str
    rows: int
    event_time_min: str | None
    event_time_max: str | None


@dataclass(slots=True)
class Reading:
    """What one query may read and has read.

    ``failure`` is the first error of the archive met while reading: DuckDB would turn it into a line of text.
    """

    archive: Archive
    catalogue: Catalogue
    restricted: pa.Array | None = None
    """Accounts whose records this query does not see; None: it may see everything."""
    by_class: dict[str, list[SegmentRow]] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    blocks: dict[str, int] = field(default_factory=dict)
    """How many blocks of rows were read of the segments that were looked up by their postings."""
    failure: LiucunError | None = None
    state: dict[str, object] | None = None
    """The newest signed state of the log when the snapshot was taken."""
    _stopped: bool = False
    _alive: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take_snapshot(self) -> None:
        """Fix the segments that this query sees, in one read of the catalogue."""
        c = segment_table.c
        columns = (c.segment_id, c.record_class, c.rows, c.event_time_min, c.event_time_max)
        with self.catalogue.read() as connection:
            self.state = newest_state(connection)
            rows = connection.execute(sa.select(*columns).order_by(c.record_class, c.event_time_min, c.segment_id))
            for row in rows:
                self.by_class.setdefault(row.record_class, []).append(SegmentRow(*row))

    def open(self, segment_id: str, fetched: Mapping[str, SegmentManifest] = _NONE) -> SegmentFile:
        """A segment of the snapshot; its manifest may have been ``fetched`` with others."""
        if self._stopped:
            raise OSError(_ENDED)
        opened = open_segment(self.archive, fetched.get(segment_id) or self._fetched([segment_id])[segment_id])
        with self._lock:
            self.opened.add(segment_id)
        return opened

    def look_up(self, segment_ids: Sequence[str], look_up: LookUp) -> Found:
        """What the postings of segments of the snapshot lead to; their manifests are fetched many at a time."""
        found = Found()
        threads = int(getattr(self.archive.objects, "look_ups_at_once", LOCAL_THREADS))
        for begin in range(0, len(segment_ids), _MANIFESTS_AT_ONCE):
            few = segment_ids[begin : begin + _MANIFESTS_AT_ONCE]
            manifests = self._fetched([name for name in few if name not in self.archive.opened])
            look_up_rows(few, partial(self.open, fetched=manifests), self.archive, look_up, found, threads=threads)
        self.opened.update(found.tables)
        self.blocks.update(found.blocks)
        return found

    def _fetched(self, segment_ids: Sequence[str]) -> dict[str, SegmentManifest]:
        c = segment_table.c
        with self.catalogue.read() as connection:
            rows = connection.execute(sa.select(c.segment_id, c.manifest).where(c.segment_id.in_(segment_ids)))
            return {name: SegmentManifest.from_bytes(data) for name, data in rows}

    def guard(self, step: Callable[[], Any]) -> Any:
        """Do one step of reading, keeping the first typed error, and refusing once the query has ended."""
        if self._stopped:
            raise OSError(_ENDED)
        try:
            return step()
        except LiucunError as error:
            # A traceback, a cause's too, would keep the file alive that `drain` waits for.
            bare(error)
            met = error
        with self._lock:
            self.failure = self.failure or met
        raise OSError(met.what)

    def handed_out(self, file: SealedFile) -> None:
        """Count a file that readers of other threads may hold."""
        with self._lock:
            self._alive += 1
        weakref.finalize(file, self._given_back)

    def stop(self) -> None:
        """Let no read begin from now on."""
        self._stopped = True

    @property
    def alive(self) -> bool:
        """Whether a file that was handed out is still held by somebody."""
        return self._alive > 0

    def drain(self) -> None:
        """Wait until read-ahead threads have let go of every file: they must not outlive the interpreter."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._alive > 0 and time.monotonic() < deadline:
            time.sleep(0.001)

    def _given_back(self) -> None:
        with self._lock:
            self._alive -= 1


class _Plaintext:
    """A segment's plaintext, opened at the first step of reading."""

    def __init__(self, reading: Reading, segment_id: str) -> None:
        self._reading, self._segment_id = reading, segment_id
        self._file: io.RawIOBase | None = None

    def step(self, method: str, *given: int) -> Any:
        """One call of the opened file's."""
        return self._reading.guard(lambda: getattr(self._opened(), method)(*given))

    def _opened(self) -> io.RawIOBase:
        if self._file is None:
            self._file = self._reading.open(self._segment_id).reader
        return self._file


class SealedFile(io.RawIOBase):
    """A segment's plaintext as a file for Arrow.

    Arrow keeps the traceback of what a step raised for as long as it likes: each step lets go of ``self`` first, or
    `drain` would wait in vain for a file that only its own error's frames hold.
    """

    def __init__(self, reading: Reading, segment_id: str) -> None:
        super().__init__()
        self._plaintext = _Plaintext(reading, segment_id)
        reading.handed_out(self)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """See ``io.RawIOBase.read``."""
        plaintext = self._plaintext
        del self
        return bytes(plaintext.step("read", -1 if size is None else size) or b"")

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See ``io.IOBase.seek``."""
        plaintext = self._plaintext
        del self
        return int(plaintext.step("seek", offset, whence))

    def tell(self) -> int:
        """See ``io.IOBase.tell``."""
        plaintext = self._plaintext
        del self
        return int(plaintext.step("tell"))


class ClassDataset(ds.FileSystemDataset):  # type: ignore[misc]  # pyarrow is untyped
    """The records of one class. Empty in itself: ``scanner`` fills in the segments that a scan needs."""

    reading: Reading
    record_class: str

    @classmethod
    def of(cls, reading: Reading, record_class: str) -> ClassDataset:
        """The dataset of a class within a query's snapshot."""
        made = cls([], RECORD_SCHEMA, ds.ParquetFileFormat())
        made.reading, made.record_class = reading, record_class
        return made

    def scanner(self, **options: Any) -> ds.Scanner:
        """A scan of the segments that ``filter`` does not rule out (called by DuckDB)."""
        chosen = surviving(self.reading.by_class.get(self.record_class, []), options.get("filter"))
        asked = asked_of(options.get("filter"))
        if self.reading.restricted is not None and len(self.reading.restricted):
            options["filter"] = _seen(self.reading.restricted, options.get("filter"))
        options.setdefault("fragment_readahead", FRAGMENT_READAHEAD)
        options.setdefault("batch_readahead", BATCH_READAHEAD)
        # Arrow's threaded scan can deadlock on a file's error: its scheduler's lock against Python's.
        options["use_threads"] = False
        if asked:
            return self._looked_up(chosen, LookUp(asked, _read_by(options))).scanner(**options)
        return self._scanned(chosen).scanner(**options)

    def _scanned(self, chosen: Sequence[SegmentRow]) -> ds.Dataset:
        """Segments to be read as they are."""
        parquet = ds.ParquetFileFormat()
        fragments = [
            parquet.make_fragment(pa.PythonFile(SealedFile(self.reading, row.segment_id), mode="r")) for row in chosen
        ]
        return ds.FileSystemDataset(fragments, RECORD_SCHEMA, parquet)

    def _looked_up(self, chosen: Sequence[SegmentRow], look_up: LookUp) -> ds.Dataset:
        """The rows that segments' postings lead to, and the segments without them, in the order of the segments."""
        reading = self.reading
        found = reading.guard(lambda: reading.look_up([row.segment_id for row in chosen], look_up))
        parts: list[ds.Dataset] = []
        for known, rows in itertools.groupby(chosen, key=lambda row: row.segment_id in found.tables):
            if known:
                table = as_records([found.tables[row.segment_id] for row in rows], look_up.columns)
                parts.append(ds.dataset(table))
            else:
                parts.append(self._scanned(list(rows)))
        if not parts:
            return ds.dataset(RECORD_SCHEMA.empty_table())
        if len(parts) == 1:
            return parts[0]
        # A union's parts have one schema: columns that this scan reads are in all of them.
        schema = next((part.schema for part in parts if isinstance(part, ds.InMemoryDataset)), RECORD_SCHEMA)
        return ds.UnionDataset(schema, [part.replace_schema(schema) for part in parts])


class TableDataset(ds.FileSystemDataset):  # type: ignore[misc]  # pyarrow is untyped
    """A table of the catalogue that is read when a query scans it."""

    load: Callable[[], pa.Table]

    @classmethod
    def of(cls, schema: pa.Schema, load: Callable[[], pa.Table]) -> TableDataset:
        """A dataset of a known schema."""
        made = cls([], schema, ds.ParquetFileFormat())
        made.load = load
        return made

    def scanner(self, **options: Any) -> ds.Scanner:
        """A scan of the table (called by DuckDB)."""
        return ds.dataset(self.load()).scanner(**options)


def _read_by(options: Mapping[str, Any]) -> frozenset[str] | None:
    """Names of the columns that a scan reads, or more; None: all."""
    if options.get("columns") is None:
        return None
    printed = str(options.get("filter"))
    return frozenset(options["columns"]) | {name for name in RECORD_SCHEMA.names if name in printed}


def _seen(restricted: pa.Array, condition: ds.Expression | None) -> ds.Expression:
    """The condition, and that the record is not about a restricted account."""
    rule = ~ds.field(PERSON_COLUMNS[0]).isin(restricted)
    for name in PERSON_COLUMNS[1:]:
        rule &= ~ds.field(name).isin(restricted)
    return rule if condition is None else condition & rule


def surviving(rows: Sequence[SegmentRow], condition: ds.Expression | None) -> list[SegmentRow]:
    """The segments that may hold a row for which ``condition`` is true, judged by their event times.

    Arrow itself proves the contradiction: a segment, or a group of them, is a fragment that guarantees its span of
    times. Groups are tried before their members, so that a short span is found quickly among thousands.
    """
    if condition is None or "event_time" not in str(condition):
        return list(rows)
    ordered = sorted(rows, key=lambda row: row.event_time_min or "")
    groups = [ordered[begin : begin + _GROUP] for begin in range(0, len(ordered), _GROUP)]
    alive = possible([_span(group) for group in groups], condition)
    members = [row for number in alive for row in groups[number]]
    return [members[number] for number in possible([_span([row]) for row in members], condition)]


def _span(rows: Sequence[SegmentRow]) -> ds.Expression:
    """What is true of every row of these segments: its time lies between two, or there is none."""
    column = ds.field("event_time")
    firsts = [row.event_time_min for row in rows if row.event_time_min is not None]
    lasts = [row.event_time_max for row in rows if row.event_time_max is not None]
    if not firsts or not lasts:
        return column.is_null()
    low, high = (pa.scalar(datetime.fromisoformat(text), _TIME_TYPE) for text in (min(firsts), max(lasts)))
    return ((column >= low) | column.is_null()) & ((column <= high) | column.is_null())
