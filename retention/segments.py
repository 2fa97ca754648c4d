"""Segments: a batch of records of one class and month as Parquet in a sealed container.

Writing is columnar from end to end: one Parquet encoding in memory, one pass of native
encryption, two native digests, one durable object. Reading decrypts only what is asked for.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from errors import UsageError
from retention import container
from retention.catalogue.tables import timestamp
from retention.container import Binding
from retention.container_reader import ContainerReader
from retention.crypto.suites import Suite
from retention.errors import SegmentMismatchError
from retention.keys.periods import PeriodKeys
from retention.lookups.blind import BlindKey
from retention.lookups.opened import OpenedSegments
from retention.lookups.pages import BLOCK_ROWS
from retention.lookups.section import section_of, with_section
from retention.manifest import FORMAT_VERSION, ROWS_VERSION, SegmentManifest, SegmentPlace, check
from retention.objects.base import ObjectStore
from retention.row_proofs import PROVED, RowProof, prove_rows, rows_root
from retention.schema import RECORD_SCHEMA, SCHEMA_VERSION, as_current

SUFFIX: Final = ".lcs"
ROW_GROUP_ROWS: Final = 64 * 1024

_DICTIONARY: Final = [
    field.name
    for field in RECORD_SCHEMA
    if pa.types.is_dictionary(field.type)
    or field.name
    in {
        "event_action",
        "event_outcome",
        "http_request_method",
        "http_response_status_code",
        "http_version",
        "user_agent_original",
        "host_name",
        "process_name",
        "device_model_name",
        "log_syslog_priority",
        "order_status",
        "currency",
        "content_type",
    }
]
"""Columns of few values; elsewhere a dictionary costs time and saves nothing (measured)."""
_STATISTICS: Final = ["event_time", "log_offset"]
"""Columns whose bounds let a query pass over a row group."""
_LARGEST_PAGE: Final = 1 << 30
"""Pages end at blocks, whatever their bytes."""
_ENCODING: Final = {"log_offset": "DELTA_BINARY_PACKED", "event_time": "DELTA_BINARY_PACKED"}
"""Columns that rise."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Where segments lie, which keys seal them, and by which suite. ``suite`` applies to new segments.

    ``opened`` are the segments that look-ups keep open.
    """

    objects: ObjectStore
    period_keys: PeriodKeys
    suite: Suite
    opened: OpenedSegments = field(default_factory=OpenedSegments, compare=False, repr=False)


def write_segment(
    archive: Archive,
    batch: pa.RecordBatch | pa.Table,
    *,
    record_class: str,
    period: str,
    places: tuple[SegmentPlace, ...],
    replaces: tuple[str, ...] = (),
    by_account: bool = False,
    look_ups: bool = False,
    sealed_under: tuple[str, str] | None = None,
) -> SegmentManifest:
    """Seal records into a new object, durable when this returns; nothing is entered into the catalogue.

    Args:
        archive: objects, keys and suite.
        batch: records in ``RECORD_SCHEMA``, at least one.
        record_class: their class.
        period: Shanghai month of their retention anchor, ``YYYY-MM``.
        places: the ranges that the rows come from; their rows add up to the batch's.
        replaces: ids of the segments whose rows these are (compaction).
        by_account: the rows are sorted by account and time, and look-ups by account shall use that.
        look_ups: the segment gets postings, by which a look-up reads only the blocks it needs. What is soon to be
            merged goes without: they would cost more than they save.
        sealed_under: class and month of the period key, where it is not that of the records (what outlives its month).

    Raises:
        UsageError: the batch is empty, of another schema, or does not fit its places.
        KeyAccessError, StorageError: nothing was written under the segment's name.
    """
    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    _check_batch(table, places)
    key = archive.period_keys.current(*(sealed_under or (record_class, period)))
    binding = Binding(
        segment_id=_segment_id(archive.suite, record_class, period, places, replaces, sealed_under),
        attempt=secrets.token_hex(8),
        record_class=record_class,
        period=period,
        schema_version=SCHEMA_VERSION,
    )
    blind = BlindKey(archive.suite, key) if look_ups else None
    sealed = container.seal(archive.suite, key, binding, encode(table, by_account=by_account, blind=blind))
    first, last = _event_times(table)
    proved = record_class in PROVED
    manifest = SegmentManifest(
        format_version=ROWS_VERSION if proved else FORMAT_VERSION,
        segment_id=binding.segment_id,
        attempt=binding.attempt,
        object_name=f"segments/{record_class}/{period}/{binding.segment_id}-{binding.attempt}{SUFFIX}",
        record_class=record_class,
        period=period,
        suite=archive.suite.name,
        key_id=key.key_id,
        schema_version=SCHEMA_VERSION,
        rows=table.num_rows,
        bytes_stored=len(sealed.data),
        ciphertext_digest=archive.suite.hash(sealed.data).hex(),
        plaintext_digest=sealed.plaintext_digest.hex(),
        event_time_min=first,
        event_time_max=last,
        places=places,
        replaces=replaces,
        rows_root=rows_root(archive.suite, sealed.row_key, table).hex() if proved else None,
    )
    check(manifest)
    archive.objects.put(manifest.object_name, sealed.data)
    return manifest


def open_segment(archive: Archive, manifest: SegmentManifest) -> SegmentFile:
    """Open a segment for reading.

    Raises:
        IntegrityError: it is not intact, or not the one that the manifest describes.
        KeyAccessError: its key is missing or destroyed.
        StorageError: the object is missing or cannot be read.
    """
    reader = ContainerReader(
        archive.objects,
        manifest.object_name,
        archive.period_keys.get,
        expected=Binding(
            manifest.segment_id, manifest.attempt, manifest.record_class, manifest.period, manifest.schema_version
        ),
        size=manifest.bytes_stored,
    )
    if (reader.header.suite_name, reader.header.key_id) != (manifest.suite, manifest.key_id):
        raise _mismatch(manifest, "suite or key")
    return SegmentFile(manifest, reader)


class SegmentFile:
    """An open segment."""

    def __init__(self, manifest: SegmentManifest, reader: ContainerReader) -> None:
        self.manifest = manifest
        self.reader = reader

    def parquet(self) -> pq.ParquetFile:
        """Its Parquet file; reading it decrypts only the chunks that are needed."""
        return pq.ParquetFile(pa.PythonFile(self.reader, mode="r"))

    def fragment(self) -> ds.Fragment:
        """It as a part of an Arrow dataset, into which filters and column choices are pushed."""
        return ds.ParquetFileFormat().make_fragment(pa.PythonFile(self.reader, mode="r"))

    def verify(self) -> None:
        """Read all of it and compare with the manifest: every chunk, both digests, the number of rows.

        Raises:
            ChunkRefusedError: a chunk does not authenticate.
            SegmentMismatchError: a digest or the number of rows is not the manifest's.
        """
        ciphertext, plaintext = self.reader.suite.hasher(), self.reader.suite.hasher()
        plaintext.update(self.reader.digest_salt)
        for sealed, opened in self.reader.windows():
            ciphertext.update(sealed)
            plaintext.update(opened)
        if ciphertext.digest().hex() != self.manifest.ciphertext_digest:
            raise _mismatch(self.manifest, "digest of the ciphertext")
        if plaintext.digest().hex() != self.manifest.plaintext_digest:
            raise _mismatch(self.manifest, "digest of the plaintext")
        if self._rows() != self.manifest.rows:
            raise _mismatch(self.manifest, "number of rows")
        if self.manifest.rows_root is not None:
            root = rows_root(self.reader.suite, self.reader.row_key, self._table())
            if root.hex() != self.manifest.rows_root:
                raise _mismatch(self.manifest, "root over the rows")

    def prove(self, rows: Sequence[int], fields: Iterable[str]) -> list[RowProof]:
        """Proofs of single rows, by their number in the segment, that show only ``fields``.

        Raises:
            UsageError: the segment is of a class without row proofs.
        """
        if self.manifest.rows_root is None:
            raise UsageError(
                f"The segment {self.manifest.segment_id} has no row proofs.", cure="Its own proof vouches for it whole."
            )
        return prove_rows(self.reader.suite, self.reader.row_key, self._table(), rows, fields)

    def _table(self) -> pa.Table:
        return as_current(self.parquet().read(use_threads=False))

    def _rows(self) -> int:
        try:
            return int(self.parquet().metadata.num_rows)
        except pa.ArrowException as error:
            # An authentic container can only hold this if a faulty program sealed it.
            raise _mismatch(self.manifest, "content, which is no Parquet file,") from error


def encode(table: pa.Table, *, by_account: bool = False, blind: BlindKey | None = None) -> pa.Buffer:
    """The plaintext of a segment: Parquet, zstd level 1, dictionaries and statistics only where they pay.

    Every column begins a page at each block of ``BLOCK_ROWS`` rows, so that a look-up can read a block alone.

    Args:
        table: the records.
        by_account: the rows are sorted by account and time, so the account's bounds say which pages hold it.
        blind: key of the postings; without one there are none.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        use_dictionary=_DICTIONARY,
        write_statistics=[*_STATISTICS, "user_id"] if by_account else _STATISTICS,
        write_page_index=by_account,
        row_group_size=ROW_GROUP_ROWS,
        write_batch_size=BLOCK_ROWS,
        max_rows_per_page=BLOCK_ROWS,
        data_page_size=_LARGEST_PAGE,
        column_encoding=None if by_account else _ENCODING,
    )
    plain = sink.getvalue()
    if blind is None:
        return plain
    filled = [name for name in table.column_names if table.column(name).null_count < table.num_rows]
    section = section_of(plain, table, filled, blind, ROW_GROUP_ROWS)
    return plain if section is None else with_section(plain, section)


def _check_batch(table: pa.Table, places: tuple[SegmentPlace, ...]) -> None:
    if not table.schema.equals(RECORD_SCHEMA):
        raise UsageError("The records are not in the record schema.", cure="This is a fault of the program: report it.")
    if not table.num_rows or sum(place.rows for place in places) != table.num_rows:
        raise UsageError(
            f"A segment of {table.num_rows} rows cannot come from places with {sum(p.rows for p in places)}.",
            cure="This is a fault of the program: report it.",
        )


def _segment_id(
    suite: Suite,
    record_class: str,
    period: str,
    places: tuple[SegmentPlace, ...],
    replaces: tuple[str, ...],
    sealed_under: tuple[str, str] | None,
) -> str:
    """The same rows of the same places give the same id, so that the catalogue takes them in once only.

    Parts of one segment may have equal counts of the same places; the keys they are divided by tell them apart.
    """
    named = [record_class, period, places, replaces, *([] if sealed_under is None else [sealed_under])]
    return suite.hash(orjson.dumps(named)).hex()[:32]


def _event_times(table: pa.Table) -> tuple[str | None, str | None]:
    bounds: dict[str, Any] = pc.min_max(table.column("event_time")).as_py()
    first, last = bounds["min"], bounds["max"]
    return (None, None) if first is None else (timestamp(first), timestamp(last))


def _mismatch(manifest: SegmentManifest, what: str) -> SegmentMismatchError:
    return SegmentMismatchError(
        f"Segment {manifest.segment_id} does not fit its manifest: its {what} differs.",
        cure="Either was replaced: run `liucun audit integrity` and restore from a backup.",
        segment=manifest.segment_id,
    )
