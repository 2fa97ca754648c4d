"""Whether a segment's look-up section says what its rows say: it is made anew from them and compared, byte by byte."""

from __future__ import annotations

from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from retention.container_reader import ContainerReader
from retention.errors import SegmentMismatchError
from retention.keys.memory import PeriodKey
from retention.lookups.blind import BlindKey
from retention.lookups.pages import BLOCK_ROWS
from retention.lookups.section import UnknownVersionError, find_head, footer_start, read_head, section_of


def check_look_ups(reader: ContainerReader, key: PeriodKey) -> None:
    """Check the section of an open segment; one without it, or with a later version's, passes.

    Raises:
        SegmentMismatchError: look-ups would miss rows of it, or find others.
        ChunkRefusedError: a chunk does not authenticate.
    """
    try:
        wrong = _wrong(reader.read_at(0, reader.size), BlindKey(reader.suite, key))
    except UnknownVersionError:
        return
    except (ValueError, KeyError, IndexError, OverflowError, pa.ArrowException) as error:
        wrong = str(error)
    if wrong:
        raise SegmentMismatchError(
            f"The look-up section of segment {reader.segment} does not fit its rows: {wrong}.",
            cure="Its rows are whole; look-ups of them may not be. Restore the object from a backup.",
            segment=reader.segment,
        )


def _cut(data: memoryview, at: int, length: int) -> memoryview:
    return data[at : at + length]


def _wrong(data: memoryview, key: BlindKey) -> str | None:
    footer = footer_start(data[-8:], len(data))
    found = find_head(partial(_cut, data), footer, key)
    if found is None:
        return None
    head = read_head(found[1])
    begin = found[0] - head.section
    if begin < 0:
        return "it is longer than the file"
    section = bytes(data[begin:footer])
    plain = pa.py_buffer(b"".join((data[:begin], data[footer:])))
    del data
    file = pq.ParquetFile(pa.BufferReader(plain))
    filled = {leaf.path[0] for leaf in head.leaves}
    for name in file.schema_arrow.names:
        if name not in filled and file.read(columns=[name]).column(0).null_count < file.metadata.num_rows:
            return f"it leaves out the column {name}"
    posted = list(head.postings)
    table = file.read(columns=posted)
    again = section_of(plain, table, filled, key, head.group_blocks * BLOCK_ROWS, posted)
    return None if again == section else "made anew it differs"
