"""Shapes of an answer."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retention.query.errors import QueryInvalidError
from retention.query.render import renderer

TABLE = pa.table(
    {
        "n": pa.array([1, None], pa.int64()),
        "huge": pa.array([Decimal(2**100), None], pa.decimal128(38, 0)),
        "money": pa.array([Decimal("12345678901234567890.123456"), Decimal("-0.000001")], pa.decimal128(38, 6)),
        "ratio": pa.array([0.5, float("nan")]),
        "yes": pa.array([True, None]),
        "at": pa.array([datetime(2026, 3, 1, 16, tzinfo=UTC), None], pa.timestamp("us", tz="UTC")),
        "day": pa.array([date(2026, 3, 1), None]),
        "text": pa.array(['逗号,"引号"\n换行', "\x1b[31mred\u202e"]),
        "raw": pa.array([b"\xff\x00a", None], pa.binary()),
        "extra": pa.array([[("k", "v"), ("空", "")], None], pa.map_(pa.string(), pa.string())),
        "list": pa.array([[1, 2], None], pa.list_(pa.int64())),
        "label": pa.array(["a", None]).dictionary_encode(),
    }
)


def test_json_keeps_every_digit_and_type() -> None:
    data = renderer("json", "Asia/Shanghai")(TABLE).data
    first, second = json.loads(data, parse_float=Decimal)
    assert first == {
        "n": 1,
        "huge": 2**100,
        "money": Decimal("12345678901234567890.123456"),
        "ratio": Decimal("0.5"),
        "yes": True,
        "at": "2026-03-02T00:00:00+08:00",
        "day": "2026-03-01",
        "text": '逗号,"引号"\n换行',
        "raw": "/wBh",
        "extra": {"k": "v", "空": ""},
        "list": [1, 2],
        "label": "a",
    }
    assert second["money"] == Decimal("-0.000001")
    assert second["ratio"] == "nan"
    assert {name for name, value in second.items() if value is None} == {
        "n", "huge", "yes", "at", "day", "raw", "extra", "list", "label",
    }  # fmt: skip


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
def test_the_last_hours_that_the_archive_knows_are_written(zone: str) -> None:
    at = pa.array([253402300799999999, 0], pa.int64()).cast(pa.timestamp("us", zone))
    rows = json.loads(renderer("json", "Asia/Shanghai")(pa.table({"at": at})).data)
    assert [row["at"] for row in rows] == ["9999-12-31T23:59:59.999999+00:00", "1970-01-01T08:00:00+08:00"]
    for name in ("csv", "table"):
        assert b"9999-12-31" in renderer(name, "Asia/Shanghai")(pa.table({"at": at})).data
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), at)
    keys = pa.array(["a", "b"])
    nested = {
        "list": lists,
        "struct": pa.StructArray.from_arrays([lists], names=["in"]),
        "map": pa.MapArray.from_arrays(pa.array([0, 1, 2], pa.int32()), keys, at),
    }
    first, second = json.loads(renderer("json", "Asia/Shanghai")(pa.table(nested)).data)
    last, epoch = (row["at"] for row in rows)
    assert first == {"list": [last], "struct": {"in": [last]}, "map": {"a": last}}
    assert second == {"list": [epoch], "struct": {"in": [epoch]}, "map": {"b": epoch}}


def test_csv_reads_back() -> None:
    header, first, second = csv.reader(io.StringIO(renderer("csv", "UTC")(TABLE).data.decode(), newline=""))
    assert header == TABLE.column_names
    assert dict(zip(header, first, strict=True))["text"] == '逗号,"引号"\n换行'
    assert dict(zip(header, first, strict=True))["money"] == "12345678901234567890.123456"
    assert json.loads(dict(zip(header, first, strict=True))["extra"]) == {"k": "v", "空": ""}
    assert dict(zip(header, second, strict=True))["n"] == ""


def test_parquet_reads_back() -> None:
    exact = TABLE.drop_columns(["ratio"])  # NaN is equal to nothing
    assert pq.read_table(pa.BufferReader(renderer("parquet", "UTC")(exact).data)).equals(exact)


def test_a_table_lines_up_and_cannot_steer_the_terminal() -> None:
    shown = renderer("table", "Asia/Shanghai")(TABLE.select(["n", "text", "at"])).data.decode()
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\x1b[31mred\\u202e" in shown
    assert "2026-03-02 00:00:00" in shown
    assert shown.endswith("(2 rows)\n")
    wide = renderer("table", "UTC")(pa.table({"a": ["中" * 100], "b": ["x"]})).data.decode().splitlines()
    assert wide[2].endswith("…   x") or wide[2].endswith("…  x")


@pytest.mark.parametrize("name", ["table", "json", "csv", "parquet"])
def test_nothing_found_is_a_whole_answer(name: str) -> None:
    rendered = renderer(name, "UTC")(TABLE.slice(0, 0))
    assert rendered.format == name
    assert rendered.data
    if name == "json":
        assert json.loads(rendered.data) == []


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "\x00"])
def test_an_unknown_zone_is_named(zone: str) -> None:
    with pytest.raises(QueryInvalidError, match="time zone"):
        renderer("json", zone)


@pytest.mark.parametrize("name", ["json", "csv"])
def test_an_answer_in_many_small_pieces_is_that_of_one_piece(name: str) -> None:
    whole = pa.table(
        {
            "n": pa.array(range(5_000)),
            "kind": pa.array([f"k{n % 7}" for n in range(5_000)]).dictionary_encode(),
            "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 5_000),
            "extra": pa.array([[("a", str(n))] for n in range(5_000)], pa.map_(pa.string(), pa.string())),
        }
    )
    pieces = [whole.slice(n, 1) for n in range(3_000)] + [whole.slice(3_000, 0), whole.slice(3_000)]
    kinds = [piece.column("kind").cast(pa.string()).combine_chunks().dictionary_encode() for piece in pieces]
    pieces = [piece.set_column(1, "kind", kind) for piece, kind in zip(pieces, kinds, strict=True)]
    render = renderer(name, "Asia/Shanghai")
    assert render(pa.concat_tables(pieces)) == render(whole)
