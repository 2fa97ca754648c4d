"""CSV rows: headers, quotes, counts."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.decode import csv_header
from pipelines.decode.csv_rows import header_names
from pipelines.decode.reasons import Reason
from tests.pipelines.decode.helpers import decode, filled, reasons


def test_header_names_map_themselves() -> None:
    data = b'\xef\xbb\xbfuser_id,Quantity,UnitPrice,Country\r\n\r\nu1,2,"3,50",China\r\nu2,,1.5,\r\n'
    batch = decode("csv", data)
    assert (batch.header_rows, batch.blank_lines) == (1, 1)
    assert filled(batch) == [
        {
            "user_id": "u1",
            "quantity": 2,
            "extra": {"Country": "China", "unit_price": "3,50"},
            "flags": "time_missing,value_kept_as_text",
        },
        {"user_id": "u2", "unit_price": 1.5, "flags": "time_missing"},
    ]


def test_a_record_may_hold_line_breaks() -> None:
    batch = decode("csv", b'text,user_id\n"one\r\n""two""\n",a\nthree,b\n')
    assert [(row["text"], row["user_id"]) for row in filled(batch)] == [('one\r\n"two"\n', "a"), ("three", "b")]
    assert batch.records.column("log_offset").to_pylist() == [1013, 1031]
    assert batch.records.column("raw").to_pylist()[0] == b'"one\r\n""two""\n",a'


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1,2", Reason.COLUMN_COUNT),
        (b"1,2,3,4", Reason.COLUMN_COUNT),
        (b'1,"2"x,3', Reason.STRAY_QUOTE),
        (b'1,"2,3', Reason.OPEN_QUOTE),
        (b"1,2\r,3", Reason.BARE_CR),
        (b"1,\xff,3", Reason.INVALID_UTF8),
        (b"1,\x00,3", Reason.NUL_BYTE),
    ],
)
def test_damage_costs_one_row(row: bytes, reason: Reason) -> None:
    batch = decode("csv", b"a,b,c\n1,2,3\n" + row + b"\n4,5,6\n")
    assert batch.records.num_rows == 2
    assert reasons(batch) == [reason]
    assert batch.unparsed.column("raw").to_pylist() == [row]


def test_later_batches_use_the_header_they_are_given() -> None:
    batch = decode("csv", b"u1,5\n", first=False, header=b"user_id,quantity\r\n")
    assert batch.header_rows == 0
    assert filled(batch) == [{"user_id": "u1", "quantity": 5, "flags": "time_missing"}]


def test_declared_columns_and_delimiter() -> None:
    batch = decode("csv", "u1|好|x\n".encode(), csv_columns=("user_id", "text", "z"), csv_delimiter="|")
    assert batch.header_rows == 0
    assert filled(batch) == [{"user_id": "u1", "text": "好", "extra": {"z": "x"}, "flags": "time_missing"}]


@pytest.mark.parametrize("header", [b'"a,b\n', b"a,\xff\n", b'"a"x,b\n', b"a,b\r1,2\r3,4\n", b"a,\x00\n"])
def test_an_unusable_header_hides_nothing(header: bytes) -> None:
    batch = decode("csv", header + b"1,2\n")
    assert batch.records.num_rows == batch.header_rows == 0
    assert batch.unparsed.num_rows == 2
    assert reasons(batch)[1] == Reason.UNUSABLE_HEADER
    assert reasons(decode("csv", b"1,2\n", first=False, header=header)) == [Reason.UNUSABLE_HEADER]


def test_a_batch_without_its_header_is_unparsed() -> None:
    assert reasons(decode("csv", b"1,2\n", first=False)) == [Reason.UNUSABLE_HEADER]


def test_names() -> None:
    assert header_names(b'price,price,,"a ""b""", price_2 ', ",") == [
        "price",
        "price_2",
        "column_3",
        'a "b"',
        "price_2_2",
    ]
    assert csv_header(b'\n\r\n"a\nb",c\r\n1,2\n', ",", last=True) == b'"a\nb",c'
    assert csv_header(b"\n", ",", last=True) == csv_header(b"", ",", last=True) == b""
    row = filled(decode("csv", b"user_id,UserID,user_id\n1,2,3\n"))[0]
    assert (row["user_id"], row["extra"]) == ("1", {"UserID": "2", "user_id_2": "3"})


def test_kept_value_beside_a_field_of_the_columns_name() -> None:
    row = filled(decode("csv", b"Quantity,quantity\nmany,few\n"))[0]
    assert row["extra"] == {"quantity": "few", "quantity#2": "many"}


CELLS = st.text(alphabet=st.characters(exclude_characters="\x00\r\ufeff", exclude_categories=("Cs",)), max_size=6)


@settings(max_examples=150)
@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_agrees_with_the_standard_library(rows: list[list[str]], quoting: int) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    data = b"p,q,r\n" + out.getvalue().encode()
    batch = decode("csv", data)
    assert reasons(batch) == []
    expected = [{name: cell for name, cell in zip("pqr", row, strict=True) if cell} for row in rows]
    found = [dict(extra or []) for extra in batch.records.column("extra").to_pylist()]
    assert found == expected
