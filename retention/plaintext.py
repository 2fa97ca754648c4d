"""The plaintext of a segment: an ordinary Parquet file, laid out so that it is small and look-ups open little of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from retention.lookups.blind import BlindKey
from retention.lookups.pages import BLOCK_ROWS
from retention.lookups.section import section_of, with_section
from retention.row_commitments import SALTS_NAME, write_salts
from retention.schema import RECORD_SCHEMA

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


def encode(
    table: pa.Table,
    *,
    by_account: bool = False,
    blind: BlindKey | None = None,
    salts: Mapping[str, bytes] | None = None,
) -> pa.Buffer:
    """The plaintext of a segment: Parquet, zstd level 1, dictionaries and statistics only where they pay.

    Every column begins a page at each block of ``BLOCK_ROWS`` rows, so that a look-up can read a block alone.

    Args:
        table: the records.
        by_account: the rows are sorted by account and time, so the account's bounds say which pages hold it.
        blind: key of the postings; without one there are none.
        salts: of the commitments that the rows are under already, by segment.
    """
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=_DICTIONARY,
        write_statistics=[*_STATISTICS, "user_id"] if by_account else _STATISTICS,
        write_page_index=by_account,
        write_batch_size=BLOCK_ROWS,
        max_rows_per_page=BLOCK_ROWS,
        data_page_size=_LARGEST_PAGE,
        column_encoding=None if by_account else _ENCODING,
    ) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        if salts:
            writer.add_key_value_metadata({SALTS_NAME: write_salts(salts)})
    plain = sink.getvalue()
    if blind is None:
        return plain
    filled = [name for name in table.column_names if table.column(name).null_count < table.num_rows]
    section = section_of(plain, table, filled, blind, ROW_GROUP_ROWS)
    return plain if section is None else with_section(plain, section)
