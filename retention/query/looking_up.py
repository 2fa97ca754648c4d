"""The rows that a filter by account, order, address or device asks for, found by the segments' postings.

Segments are looked up side by side. Of each, the blocks that may hold a value are decrypted, and the rows that have it
are kept; the filter itself is applied to them later, as to any rows. What has no postings is left to a scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retention.lookups.narrow import Asked, LookUp, faulty_section, narrow
from retention.lookups.opened import OpenedSection, open_section
from retention.lookups.section import UnknownVersionError
from retention.schema import RECORD_SCHEMA
from retention.segments import Archive, SegmentFile

MOST_BYTES: Final = 128 << 20
"""Bytes of found rows that are kept in memory; segments after that are scanned."""
LOCAL_THREADS: Final = 2
"""Segments that are looked up at a time; a store far away says more (``look_ups_at_once``)."""
_NOTHING: Final = pa.table({})


@dataclass(slots=True)
class Found:
    """What the postings of some segments led to, by segment id; a segment that is not here must be scanned.

    ``blocks``: how many blocks were read of each.
    """

    tables: dict[str, pa.Table] = field(default_factory=dict)
    blocks: dict[str, int] = field(default_factory=dict)
    nbytes: int = 0


def look_up_rows(
    segment_ids: Sequence[str],
    opened: Callable[[str], SegmentFile],
    archive: Archive,
    look_up: LookUp,
    found: Found,
    *,
    threads: int,
) -> None:
    """Look up every segment, and add what is found.

    Raises:
        LiucunError: a segment is not intact, its key is gone, or its object cannot be read.
    """

    def one(segment_id: str) -> tuple[pa.Table, int] | None:
        if found.nbytes > MOST_BYTES:
            return None
        try:
            return _look_up(segment_id, opened, archive, look_up)
        except BaseException:
            archive.opened.clear()
            raise

    with ThreadPoolExecutor(threads, thread_name_prefix="look-up") as pool:
        for segment_id, part in zip(segment_ids, pool.map(one, segment_ids), strict=True):
            if part is None or found.nbytes > MOST_BYTES:
                continue
            found.tables[segment_id], found.blocks[segment_id] = part
            found.nbytes += part[0].nbytes


def _look_up(
    segment_id: str, opened: Callable[[str], SegmentFile], archive: Archive, look_up: LookUp
) -> tuple[pa.Table, int] | None:
    """The rows that a segment's postings lead to and the blocks read for them; None where it must be scanned."""
    section = archive.opened.get(segment_id)
    if section is None:
        reader = opened(segment_id).reader
        try:
            section = open_section(reader, archive.period_keys.get(reader.header.key_id))
        except UnknownVersionError:
            section = OpenedSection(reader, None, 0)
        except (ValueError, OverflowError, IndexError) as error:
            raise faulty_section(segment_id, str(error)) from error
        archive.opened.keep(segment_id, section)
    narrowed = narrow(section, archive.period_keys.get(section.reader.header.key_id), look_up)
    if narrowed is None:
        return None
    if not narrowed.blocks:
        return _NOTHING, 0
    try:  # without Arrow's own threads, which would only wait for each other here
        table = pq.ParquetFile(pa.BufferReader(narrowed.data)).read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise faulty_section(segment_id, str(error)) from error
    return table.filter(_has(table, look_up.asked)).combine_chunks(), narrowed.blocks


def as_records(tables: Sequence[pa.Table], columns: frozenset[str] | None) -> pa.Table:
    """Found rows in the record schema, or those of its columns that are read: what a file left out is null."""
    names = [name for name in RECORD_SCHEMA.names if columns is None or name in columns]
    schema = pa.schema([RECORD_SCHEMA.field(name) for name in names])
    # In one piece each: DuckDB takes every piece of every column by itself, and segments give a few rows each.
    together = pa.concat_tables(tables, promote_options="default").combine_chunks() if tables else schema.empty_table()
    there = set(together.column_names)
    arrays = [
        together.column(item.name).cast(item.type)
        if item.name in there
        else pa.chunked_array([pa.nulls(together.num_rows, item.type)])
        for item in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _has(table: pa.Table, asked: Asked) -> pa.ChunkedArray:
    """Which rows have a value of each member. A column that the file left out is null in all of them."""
    there = set(table.column_names)
    kept = pa.chunked_array([pa.repeat(pa.scalar(True), table.num_rows)])
    for clause in asked:
        either = pa.chunked_array([pa.repeat(pa.scalar(False), table.num_rows)])
        for column in {name for name, _ in clause} & there:
            values = pa.array([value for name, value in clause if name == column], pa.string())
            either = pc.or_(either, pc.is_in(table.column(column), value_set=values))
        kept = pc.and_(kept, either)
    return kept
