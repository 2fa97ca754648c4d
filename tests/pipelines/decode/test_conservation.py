# ruff: noqa: E501
"""Whatever the bytes: decoding never fails, and every byte is accounted for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.framing import frame
from tests.pipelines.decode.helpers import decode

FORMATS = ("ndjson", "csv", "combined", "syslog")

TOKENS = st.lists(
    st.one_of(
        st.binary(max_size=6),
        st.sampled_from(
            [
                b"\n", b"\r\n", b"\r", b" ", b",", b'"', b'""', b"\\", b"\\u12", b"\\ud800", b"\x00", b"\xff", b"\xef\xbb\xbf",
                b"{", b"}", b"[", b"]", b":", b'{"a":1}', b'{"user":{"id":"x"}}', b'{"quantity":"abc"}', b'"event_time":',
                b'{"event_time":"2999-01-01"}\n', b'{"event_time":"soon"}\n', b"null", b"-1.5e3", b"a,b,c\n", b"1,2,3\n", b'"x\ny"',
                b'1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 -', b'"-" "agent\\"',
                b"<34>1 2003-10-11T22:14:15.003Z host app 1 ID [a b=\"c\"] hi", b"<34>", b"Dec 10 06:55:46 host sshd[1]: hi", b"[x@1 y=\"z\\]\"]",
                "中文".encode(),
            ]
        ),
    ),
    max_size=30,
).map(b"".join)  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=120)
@given(data=TOKENS, first=st.booleans(), header=st.sampled_from([b"", b"a,b,c\r\n", b"text,quantity", b'"x']))
def test_any_bytes(form: str, data: bytes, first: bool, header: bytes) -> None:
    batch = decode(form, data, first=first, header=header)
    frames = frame(data, csv=form == "csv", last=True)
    assert batch.records_in + batch.header_rows + batch.blank_lines == len(frames)
    assert batch.header_rows <= (form == "csv" and first)

    rows = sorted(
        (row["log_offset"] - batch.place.start, row["log_length"], row["raw"])
        for part in (batch.records, batch.unparsed)
        for row in part.select(["log_offset", "log_length", "raw"]).to_pylist()
    )
    # Raw bytes and terminators, with the header and blank lines between them, rebuild the input.
    rebuilt, skipped, at = b"", 0, 0
    for offset, length, raw in rows:
        skipped += len(frame(data[at:offset], csv=form == "csv", last=True))
        rebuilt += data[at:offset] + raw
        terminator = data[offset + len(raw) : offset + length]
        assert terminator in {b"", b"\n", b"\r\n"}
        rebuilt += terminator
        at = offset + length
    skipped += len(frame(data[at:], csv=form == "csv", last=True))
    assert rebuilt + data[at:] == data
    assert skipped == batch.header_rows + batch.blank_lines
    assert batch.unparsed.column("error_code").null_count == 0
    assert batch.unparsed.column("error_message").null_count == 0
    batch.records.to_pylist()


@settings(max_examples=100)
@given(data=TOKENS, published=st.sampled_from(["text", "a", "user.id", "quantity"]))
def test_published_is_aligned(data: bytes, published: str) -> None:
    batch = decode("ndjson", data, published={published: True, "message": False})
    assert set(batch.published) == {published}
    assert len(batch.published[published]) == batch.records.num_rows


def test_empty_input() -> None:
    for form in FORMATS:
        batch = decode(form, b"")
        assert batch.records_in == batch.header_rows == batch.blank_lines == 0


def test_a_batch_is_decoded_alike_however_it_is_cut() -> None:
    lines = [b'{"a":%d,"text":"t%d","b":[%d, 2]}\n' % (i, i, i) for i in range(50)] + [b'{"a":\n', b"\xff\n"]
    whole = decode("ndjson", b"".join(lines))
    parts = [decode("ndjson", line) for line in lines]
    for name in ("text", "extra", "raw", "flags"):
        assert whole.records.column(name).to_pylist() == [
            value for part in parts for value in part.records.column(name).to_pylist()
        ]
