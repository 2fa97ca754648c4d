"""Commitments to rows: the same for the same rows, whatever file, order and types they stand in; another for others."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retention.row_commitments import SALT_BYTES, read_salts, rows_digest, rows_digests, write_salts
from retention.schema import RECORD_SCHEMA
from tests.independent_reader.test_commitments_reader import plainly
from tests.retention.sealed_store import records

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rows(count: int) -> list[dict[str, Any]]:
    """Rows with values of every kind, and with none."""
    return [
        {
            "event_time": None if n % 3 else EPOCH + timedelta(days=n, microseconds=n),
            "user_id": [None, "", "账号", "u" * n][n % 4],
            "source_port": None if n % 2 else n,
            "amount": None if n % 5 else Decimal(n - 7) / 4,
            "extra": [None, [], [("k", "v"), ("键", None)], [("", "")]][n % 4],
            "flags": None if n % 2 else "zone_assumed",
            "raw": b"\x00" * n,
        }
        for n in range(count)
    ]


def table(count: int = 23) -> pa.Table:
    """So many rows in the record schema."""
    return pa.Table.from_batches([records(rows(count), source="s", partition="p", begin=5)])


def test_it_is_what_the_specification_says() -> None:
    for count in (1, 2, 23):
        assert rows_digest(table(count)) == plainly(table(count))


def test_neither_order_nor_file_nor_pieces_matter() -> None:
    given, names = table(), list(range(23))
    random.Random(7).shuffle(names)
    sink = pa.BufferOutputStream()
    pq.write_table(given.take(pa.array(names)), sink, row_group_size=5)
    read = pq.read_table(pa.BufferReader(sink.getvalue()))
    for other in (
        read,
        pa.concat_tables([given.slice(9), given.slice(0, 9)]),
        given.drop_columns([name for name in given.column_names if given.column(name).null_count == 23]),
        given.set_column(0, "log_source", given.column(0).cast(pa.string())),
    ):
        assert rows_digest(other) == rows_digest(given)


def test_what_lies_behind_a_null_does_not_matter() -> None:
    given = table(4)
    behind = pa.StringArray.from_buffers(
        4, pa.array([0, 2, 3, 5, 5], pa.int32()).buffers()[1], pa.py_buffer(b"xxabb"), pa.py_buffer(b"\x06")
    )
    clean = pa.array([None, "a", "bb", None])
    assert behind.to_pylist() == clean.to_pylist()
    at = given.schema.get_field_index("text")
    one, other = (given.set_column(at, "text", column) for column in (behind, clean))
    assert rows_digest(one) == rows_digest(other) == plainly(other)


@pytest.mark.parametrize("name", [name for name in RECORD_SCHEMA.names if table().column(name).null_count < 23])
def test_every_column_counts(name: str) -> None:
    given = table()
    at = given.schema.get_field_index(name)
    values = given.column(name)
    moved = pa.concat_arrays([*values.slice(1).chunks, *values.slice(0, 1).chunks])
    changed = given.set_column(at, given.schema.field(at), moved)
    if changed.equals(given):  # the same in every row, as the source's name is: the last row gets another value
        last = values[-1].as_py()
        other = last + timedelta(days=1) if isinstance(last, datetime) else last + ("x" if isinstance(last, str) else 1)
        kind = given.schema.field(at).type
        put = pa.array([*values.to_pylist()[:-1], other], None if pa.types.is_dictionary(kind) else kind)
        changed = given.set_column(at, given.schema.field(at), put.cast(kind))
    assert rows_digest(changed) != rows_digest(given)
    nulls = given.set_column(at, given.schema.field(at).with_nullable(True), pa.nulls(23, given.schema.field(at).type))
    if not name.startswith("log_"):
        assert rows_digest(nulls) != rows_digest(given)


def test_groups_are_as_if_each_stood_alone() -> None:
    given = table()
    groups = np.array([n % 3 - 1 for n in range(23)])
    made = rows_digests(given.column_names, given.column, groups, 2)
    assert made == [rows_digest(given.filter(pa.array(groups == n))) for n in range(2)]


def test_salts_have_one_form() -> None:
    salts = {"b": b"1" * SALT_BYTES, "a": b"2" * SALT_BYTES}
    assert read_salts(write_salts(salts)) == salts
    for data in (
        b"",
        b"[]",
        b"{}",
        b'{"salts":[],"version":1}',
        b'{"salts":{"a":"AA=="},"version":1}',
        b'{"salts":{"a":"?"},"version":1}',
        b'{"salts":{"a":7},"version":1}',
        b'{"salts":{},"version":2}',
    ):
        with pytest.raises(ValueError, match=r"salt|empty document"):
            read_salts(data)
