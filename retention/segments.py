"""Segments: a batch of records of one class and month as Parquet in a sealed container.

Writing is columnar from end to end: one Parquet encoding in memory, one pass of native
encryption, two native digests, one durable object. Reading decrypts only what is asked for.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from retention.manifest import COMMITTED_VERSION, SegmentManifest, SegmentPlace, check
from retention.objects.base import ObjectStore
from retention.placing import COLUMNS, place_of_rows
from retention.plaintext import encode
from retention.row_commitments import SALTS_NAME, read_salts, rows_digest, salt_of, salted
from retention.row_proofs import PROVED, RowProof, prove_rows, rows_root
from retention.schema import RECORD_SCHEMA, SCHEMA_VERSION, as_current

SUFFIX: Final = ".lcs"


@dataclass(frozen=True, slots=True)
class Archive:
    """Where segments lie, which keys seal them, and by which suite. ``suite`` applies to new segments.

    ``opened`` are the segments that look-ups keep open.
    """

    objects: ObjectStore
    period_keys: PeriodKeys
    suite: Suite
    opened: OpenedSegments = field(default_factory=OpenedSegments, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Inherited:
    """Commitments that rows stay under when they move into another segment.

    ``salts`` by the segment whose manifest has the commitment; ``places`` are those of the rows under them.
    """

    salts: Mapping[str, bytes] = field(repr=False)
    places: tuple[SegmentPlace, ...]


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
    inherited: Inherited | None = None,
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
        inherited: the commitments that the rows stay under; the others, or all of them without, come under a new one.

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
    salts = inherited.salts if inherited is not None else None
    with ThreadPoolExecutor(1, thread_name_prefix="rows-digest") as beside:
        # Both are native work for the most part: on two cores the one takes no time beside the other.
        digest = beside.submit(_digest_of_new, table, inherited)
        plaintext = encode(table, by_account=by_account, blind=blind, salts=salts)
        sealed = container.seal(archive.suite, key, binding, plaintext)
        committed = digest.result()
    first, last = _event_times(table)
    proved = record_class in PROVED
    manifest = SegmentManifest(
        format_version=COMMITTED_VERSION,
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
        rows_digest=None
        if committed is None
        else salted(archive.suite, salt_of(archive.suite, sealed.row_key), committed),
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

    @property
    def salt(self) -> bytes:
        """The salt of its own commitment to rows."""
        return salt_of(self.reader.suite, self.reader.row_key)

    def inherited_salts(self) -> dict[str, bytes]:
        """The salts of the commitments that its rows came under elsewhere, by segment.

        Raises:
            SegmentMismatchError: they are malformed.
        """
        held = (self.parquet().metadata.metadata or {}).get(SALTS_NAME)
        try:
            return {} if held is None else read_salts(held)
        except ValueError as error:
            raise _mismatch(self.manifest, f"list of salts ({error})") from error

    def _table(self) -> pa.Table:
        return as_current(self.parquet().read(use_threads=False))

    def _rows(self) -> int:
        try:
            return int(self.parquet().metadata.num_rows)
        except pa.ArrowException as error:
            # An authentic container can only hold this if a faulty program sealed it.
            raise _mismatch(self.manifest, "content, which is no Parquet file,") from error


def _check_batch(table: pa.Table, places: tuple[SegmentPlace, ...]) -> None:
    if not table.schema.equals(RECORD_SCHEMA):
        raise UsageError("The records are not in the record schema.", cure="This is a fault of the program: report it.")
    if not table.num_rows or sum(place.rows for place in places) != table.num_rows:
        raise UsageError(
            f"A segment of {table.num_rows} rows cannot come from places with {sum(p.rows for p in places)}.",
            cure="This is a fault of the program: report it.",
        )


def _digest_of_new(table: pa.Table, inherited: Inherited | None) -> bytes | None:
    """The digest of the rows that come under a new commitment, None without any."""
    if inherited is not None:
        new = place_of_rows(table.select(list(COLUMNS)), inherited.places) < 0
        if not new.any():
            return None
        table = table.filter(pa.array(new))
    return rows_digest(table)


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
