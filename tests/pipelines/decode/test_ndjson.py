# ruff: noqa: E501
"""JSON lines: exact values, nested names, every kind of damage."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.decode.reasons import Reason
from tests.pipelines.decode.helpers import decode, filled, reasons


def one(line: str | bytes, **spec: Any) -> dict[str, Any]:
    """The single readable record of a line, without the flag of the missing time."""
    rows = filled(decode("ndjson", line.encode() if isinstance(line, str) else line, **spec))
    assert len(rows) == 1
    if rows[0].get("flags") == "time_missing":
        del rows[0]["flags"]
    return rows[0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"user_id":"a"}', {"user_id": "a"}),
        ('{"user.id":"a"}', {"user_id": "a"}),
        ('{"user":{"id":"a"}}', {"user_id": "a"}),
        ('{"userId":"a"}', {"user_id": "a"}),
        ('{"UserID":"a"}', {"user_id": "a"}),
        ('{"user-id":"a"}', {"user_id": "a"}),
        ('{"userid":"a"}', {"extra": {"userid": "a"}}),
        ('{"用户user_id":"a"}', {"extra": {"用户user_id": "a"}}),
        ('{"user":{"id":"a","roles":["x", "y"]}}', {"user_id": "a", "extra": {"user.roles": '["x","y"]'}}),
        ('{"http":{"request":{"method":"GET","id":7}}}', {"http_request_method": "GET", "extra": {"http.request.id": "7"}}),
        ('{"http.request":{"method":"GET"}}', {"http_request_method": "GET"}),
        ('{"user":{ }}', {"extra": {"user": "{}"}}),
        ('{"user":"bob"}', {"extra": {"user": "bob"}}),
        ('{"user_id":12345678901234567890123}', {"user_id": "12345678901234567890123"}),
        ('{"user_id":1.10}', {"user_id": "1.10"}),
        ('{"user_id":true}', {"user_id": "true"}),
        ('{"user_id":null,"x":null}', {"extra": {"x": None}}),
        ('{"user_id":""}', {"user_id": ""}),
        ('{"id":0.10000000000000000055,"big":123456789012345678901}', {"extra": {"id": "0.10000000000000000055", "big": "123456789012345678901"}}),
        ('{"o":{"a": [1.10, {"b" : "c d"}], "e":"\\" "}}', {"extra": {"o": '{"a":[1.10,{"b":"c d"}],"e":"\\" "}'}}),
        ('{"user_id":"a","userId":"b"}', {"user_id": "a", "extra": {"userId": "b"}}),
        ('{"\\u0075ser_id":"\\u4e2d\\ud83d\\ude00\\n\\/"}', {"user_id": "中😀\n/"}),
        ('{"":"e"}', {"extra": {"": "e"}}),
        ('\ufeff {"user_id" : "a" }\t', {"user_id": "a"}),
        ('{"user.x":1,"user":{"x":2}}', {"extra": {"user.x": "1", "user.x#2": "2"}}),
        ('{"user.x":1,"user":{"x":2},"user.x#2":3}', {"extra": {"user.x": "1", "user.x#2": "2"}}),
        ("{}", {}),
    ],
)  # fmt: skip
def test_names_and_values(line: str, expected: dict[str, Any]) -> None:
    assert one(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"quantity":1.5}', {"quantity": Decimal("1.5")}),
        ('{"quantity":"-0012.340000000"}', {"quantity": Decimal("-12.34")}),
        ('{"quantity":999999999999.999999}', {"quantity": Decimal("999999999999.999999")}),
        ('{"quantity":1e3}', {"quantity": Decimal(1000)}),
        ('{"quantity":1.5E-3}', {"quantity": Decimal("0.0015")}),
        ('{"quantity":0e999}', {"quantity": Decimal(0)}),
        ('{"quantity":""}', {}),
        ('{"source_port":"443"}', {"source_port": 443}),
        ('{"source_port":443.0}', {"source_port": 443}),
        ('{"http_response_body_bytes":999999999999999999}', {"http_response_body_bytes": 10**18 - 1}),
        ('{"process_pid":-1}', {"process_pid": -1}),
    ],
)
def test_numbers_that_fit(line: str, expected: dict[str, Any]) -> None:
    assert one(line) == expected


@pytest.mark.parametrize(
    ("column", "value", "kept"),
    [
        ("quantity", '"abc"', "abc"),
        ("quantity", "1234567890123456789", "1234567890123456789"),
        ("quantity", "1000000000000", "1000000000000"),
        ("quantity", "0.0000001", "0.0000001"),
        ("quantity", '"1,234"', "1,234"),
        ("quantity", "1e99999", "1e99999"),
        ("quantity", "true", "true"),
        ("quantity", "[1, 2]", "[1,2]"),
        ("quantity", '"."', "."),
        ("quantity", '"1e"', "1e"),
        ("source_port", "99999", "99999"),
        ("source_port", "-1", "-1"),
        ("source_port", "80.5", "80.5"),
        ("http_response_status_code", "3000000000", "3000000000"),
        ("text", '["a", "b"]', '["a","b"]'),
        ("transaction_completed_at", '"soon"', "soon"),
    ],
)
def test_values_that_do_not_fit_are_kept(column: str, value: str, kept: str) -> None:
    row = one(f'{{"{column}":{value}}}')
    assert row == {"extra": {column: kept}, "flags": "time_missing,value_kept_as_text"}


def test_mapping_wins() -> None:
    mapping = {"order_id": "No", "text": "body.title", "user_id": "No", "event_time": "ts"}
    row = one('{"No":"7","body":{"title":"t","x":1},"ts":0,"order_id":"own"}', mapping=mapping)
    assert row["order_id"] == row["user_id"] == "7"
    assert row["text"] == "t"
    assert row["extra"] == {"body.x": "1", "order_id": "own"}
    assert row["flags"] == "time_implausible"
    assert one('{"order_id":"own"}', mapping=mapping)["order_id"] == "own"
    assert one('{"body.title":"t"}', mapping=mapping)["text"] == "t"


def test_timestamp_alias() -> None:
    assert one('{"@timestamp":"2025-01-01T00:00:00Z"}')["event_time"].year == 2025


def test_published_fields() -> None:
    data = b'{"text":"a","title":"b","goods":{"name":"c","n":1}}\n{"text":["x"]}\n{"event_time":"?","title":"gone"}\n'
    published = {"text": True, "title": True, "goods.name": True, "message": False}
    batch = decode("ndjson", data, published=published)
    found = {name: column.to_pylist() for name, column in batch.published.items()}
    assert found == {"text": ["a", '["x"]'], "title": ["b", None], "goods.name": ["c", None]}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1,2]", Reason.NOT_AN_OBJECT),
        (b'"text"', Reason.NOT_AN_OBJECT),
        (b"12", Reason.NOT_AN_OBJECT),
        (b"null", Reason.NOT_AN_OBJECT),
        (b"hello", Reason.NOT_JSON),
        (b'{"a":1}}', Reason.NOT_JSON),
        (b'{"a":1}{"a":1}', Reason.NOT_JSON),
        (b'{"a":1,}', Reason.NOT_JSON),
        (b'{"a":[1,]}', Reason.NOT_JSON),
        (b"{'a':1}", Reason.NOT_JSON),
        (b'{"a":01}', Reason.NOT_JSON),
        (b'{"a":.5}', Reason.NOT_JSON),
        (b'{"a":NaN}', Reason.NOT_JSON),
        (b'{"a":"\t"}', Reason.NOT_JSON),
        (b'{"a":"\\x"}', Reason.NOT_JSON),
        (b'{"a":{"b":"\x01"}}', Reason.NOT_JSON),
        (b'{"a":1', Reason.TRUNCATED),
        (b'{"a":"b', Reason.TRUNCATED),
        (b'{"a":tr', Reason.TRUNCATED),
        (b'{"a":{"b":[1', Reason.TRUNCATED),
        (b'{"a":1,"a":2}', Reason.DUPLICATE_KEY),
        (b'{"user_id":1,"user_id":1}', Reason.DUPLICATE_KEY),
        (b'{"a":1,"\\u0061":2}', Reason.DUPLICATE_KEY),
        (b'{"a":[{"b":1,"b":2}]}', Reason.DUPLICATE_KEY),
        (b'{"a":{"\\u00e9":1,"\xc3\xa9":2}}', Reason.DUPLICATE_KEY),
        (b'{"user":{"id":1,"id":2}}', Reason.DUPLICATE_KEY),
        (b'{"a":"\\ud800"}', Reason.LONE_SURROGATE),
        (b'{"a":"\\udc00"}', Reason.LONE_SURROGATE),
        (b'{"a":"\\ud800\\u0041"}', Reason.LONE_SURROGATE),
        (b'{"a":' + b"[" * 600 + b"]" * 600 + b"}", Reason.TOO_DEEP),
        (b"[" * 100_000, Reason.TOO_DEEP),
        (b'{"a":"\xff"}', Reason.INVALID_UTF8),
        (b'{"a":"\xed\xa0\x80"}', Reason.INVALID_UTF8),
        (b'{"a":"\xc0\xaf"}', Reason.INVALID_UTF8),
        (b'{"a":"\x00"}', Reason.NUL_BYTE),
        (b'{"event_time":"yesterday"}', Reason.UNREADABLE_TIME),
        (b'{"event_time":[1]}', Reason.UNREADABLE_TIME),
        (b'{"event_time":true}', Reason.UNREADABLE_TIME),
    ],
)
def test_damage_costs_one_line(line: bytes, reason: Reason) -> None:
    batch = decode("ndjson", b'{"user_id":"before"}\n' + line + b'\n{"user_id":"after"}\n')
    assert batch.records.column("user_id").to_pylist() == ["before", "after"]
    assert reasons(batch) == [reason]
    assert batch.unparsed.column("error_message").to_pylist() == [reason.message]
    assert batch.unparsed.column("raw").to_pylist() == [line]


def test_same_key_in_different_objects_is_no_duplicate() -> None:
    assert one('{"a":{"k":1},"b":{"k":1},"k":1,"c":[{"k":1},{"k":1}]}')["extra"]["k"] == "1"


def test_many_fields_grow_the_tables() -> None:
    wide = json.dumps({f"user.f{i}" if i % 2 else f"f{i}": {"v": i} for i in range(20_000)})
    nested = json.dumps({"user": {f"k{i}": i for i in range(20_000)}})
    batch = decode("ndjson", f'{wide}\n{nested}\n{{"user":{{"a\\u0041":1}}}}\n'.encode())
    rows = filled(batch)
    assert len(rows[0]["extra"]) == len(rows[1]["extra"]) == 20_000
    assert rows[1]["extra"]["user.k19999"] == "19999"
    assert rows[2]["extra"] == {"user.aA": "1"}


def test_a_twenty_megabyte_line() -> None:
    text = "字" * 7_000_000
    batch = decode("ndjson", f'{{"text":"{text}"}}\n{{"text":"b"}}\n'.encode())
    assert [len(value) for value in batch.records.column("text").to_pylist()] == [7_000_000, 1]


def test_padded_names_of_objects_are_not_opened() -> None:
    row = one('{"user' + "_" * 60 + '":{"id":1}}')
    assert row == {"extra": {"user" + "_" * 60: '{"id":1}'}}


# --- against an independent reader ------------------------------------------------------------------------------------


class Number(str):
    """A number as its text."""


def oracle(line: bytes) -> Any:
    """Read strictly with the standard library; ValueError for what must not be read."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) != len(items):
            raise ValueError("duplicate key")
        return dict(items)

    def constant(name: str) -> Any:
        raise ValueError(name)

    text = line.decode()
    if "\x00" in text:
        raise ValueError("NUL")
    value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant, parse_int=Number, parse_float=Number)
    if re.search(r"[\ud800-\udfff]", repr_of(value)):
        raise ValueError("lone surrogate")
    return value


def repr_of(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(k + repr_of(v) for k, v in value.items())
    if isinstance(value, list):
        return "".join(map(repr_of, value))
    return str(value)


def agrees(text: str | None, value: Any) -> bool:
    if isinstance(value, (dict, list)):
        assert text is not None
        return bool(oracle(text.encode()) == value)
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    return bool(text == value)


TEXT = st.text(max_size=8) | st.sampled_from(["中文", "😀", "\u2028", '"\\/', "\x7f", "\t\n"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
KEYS = TEXT.map(lambda key: "字" + key)  # never the name of a column


@settings(max_examples=150)
@given(value=st.dictionaries(KEYS, JSON, max_size=6), ascii_only=st.booleans(), spaced=st.booleans())
def test_agrees_with_the_standard_library(value: dict[str, Any], ascii_only: bool, spaced: bool) -> None:
    line = json.dumps(value, ensure_ascii=ascii_only, separators=(" , ", " : ") if spaced else (",", ":"))
    try:
        line.encode()
    except UnicodeEncodeError:
        return
    batch = decode("ndjson", line.encode() + b"\n")
    try:
        expected = oracle(line.encode())
    except ValueError:
        assert batch.unparsed.num_rows == 1
        return
    assert reasons(batch) == []
    extra = dict(batch.records.column("extra").to_pylist()[0] or [])
    assert extra.keys() == expected.keys()
    assert all(agrees(extra[key], expected[key]) for key in expected)


@settings(max_examples=300)
@given(
    value=st.dictionaries(KEYS, JSON, max_size=4),
    ascii_only=st.booleans(),
    edits=st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from(list(b'{}[]:,"\\ eE+-.0u1ntf\x01\xff\t'))), max_size=3
    ),
)
def test_accepts_what_the_standard_library_accepts(
    value: dict[str, Any], ascii_only: bool, edits: list[tuple[int, int]]
) -> None:
    line = bytearray(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
    for at, byte in edits:
        line[at % len(line)] = byte
    if not bytes(line).strip(b" \t\r") or b"\n" in line:
        return
    batch = decode("ndjson", bytes(line))
    try:
        fine = isinstance(oracle(bytes(line)), dict)
    except ValueError:
        fine = False
    assert batch.records.num_rows == int(fine), (bytes(line), reasons(batch))
