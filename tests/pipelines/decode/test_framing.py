"""Borders of records: what is one record, and that cutting anywhere changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.framing import Frames, Limits, cut, frame

SMALL = Limits(quoted_bytes=24, quoted_lines=3, record_bytes=40)

PIECES = st.lists(
    st.sampled_from(
        [b'"', b"a", b",", b"\n", b"\r\n", b"\r", b'""', b"\xef\xbb\xbf", b"long" * 5, b',"x\ny",', b"\x00"]
    ),
    max_size=40,
).map(b"".join)


def contents(data: bytes, frames: Frames) -> list[bytes]:
    return [data[s:e] for s, e in zip(frames.starts, frames.content_ends, strict=True)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a\nb\r\n\nc", [b"a", b"b", b"", b"c"]),
        (b"\r\n\r", [b"", b"\r"]),
        (b"a\rb\n", [b"a\rb"]),
        (b"\x00\n\xff", [b"\x00", b"\xff"]),
    ],
)
def test_lines(data: bytes, expected: list[bytes]) -> None:
    frames = frame(data, csv=False, last=True)
    assert contents(data, frames) == expected
    assert frames.consumed == len(data)


@pytest.mark.parametrize(
    ("data", "expected", "fallback"),
    [
        (b'1,"a\nb\r\nc",2\n3,4\n', [b'1,"a\nb\r\nc",2', b"3,4"], [False, False]),
        (b'1,"say ""x""\n"\n', [b'1,"say ""x""\n"'], [False]),
        (b'\xef\xbb\xbf"a\nb",c\n', [b'\xef\xbb\xbf"a\nb",c'], [False]),
        (b'7" disc,1\n2,3\n', [b'7" disc,1', b"2,3"], [False, False]),
        (b'1,"open\n2,3\n4,5\n', [b'1,"open', b"2,3", b"4,5"], [True, False, False]),
        (b'1,"open\n2,"x,y",3\n', [b'1,"open', b'2,"x,y",3'], [True, False]),
        (b'"a"b,"c\nd"\n', [b'"a"b,"c', b'd"'], [True, False]),
        (b'"a\n1\n2\n3\n",x\n', [b'"a', b"1", b"2", b"3", b'",x'], [True, False, False, False, True]),
    ],
)
def test_quoted(data: bytes, expected: list[bytes], fallback: list[bool]) -> None:
    frames = frame(data, csv=True, last=True, limits=SMALL)
    assert contents(data, frames) == expected
    assert frames.fallback.tolist() == fallback


def test_delimiter_of_several_bytes() -> None:
    data = 'a，"b\nc"，d\n'.encode()
    assert contents(data, frame(data, csv=True, delimiter="，", last=True)) == [data[:-1]]


def test_real_limits_let_a_thousand_lines_pass_and_no_more() -> None:
    fits = b'"' + b"x\n" * 999 + b'"\n'
    assert len(frame(fits, csv=True, last=True)) == 1
    exceeds = b'"' + b"x\n" * 1000 + b'"\n'
    frames = frame(exceeds, csv=True, last=True)
    assert len(frames) == 1001
    assert frames.fallback[0]
    wide = b'"' + b"x" * (1 << 20) + b'\n"\nnext\n'
    assert len(frame(wide, csv=True, last=True)) == 3


def test_an_open_tail_waits() -> None:
    assert frame(b"a\nb", csv=False, last=False).consumed == 2
    assert frame(b'a\n"b\n', csv=True, last=False).consumed == 2
    assert frame(b'"b"', csv=True, last=False).consumed == 0
    assert cut(b"", csv=False, last=False) == 0


@pytest.mark.parametrize("csv", [False, True])
def test_oversized_records_are_cut(csv: bool) -> None:
    data = b"x" * 100 + b"\n" + b'"a"\n'
    frames = frame(data, csv=csv, last=True, limits=SMALL)
    assert (frames.ends - frames.starts).tolist() == [40, 40, 21, 4]
    assert frames.oversized.tolist() == [True, True, True, False]
    assert cut(b"x" * 100, csv=csv, last=False, limits=SMALL) == 80


def test_stray_quotes_do_not_make_framing_quadratic() -> None:
    data = b'x",y,"\n' * 200_000
    assert len(frame(data, csv=True, last=True)) == 200_000


@settings(max_examples=600)
@given(data=PIECES, csv=st.booleans(), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_cutting_changes_nothing(data: bytes, csv: bool, sizes: list[int]) -> None:
    """A source read in windows, cut, and framed range by range, gives the records of the whole."""
    whole = frame(data, csv=csv, last=True, limits=SMALL)
    assert whole.consumed == len(data)
    assert b"".join(data[s:e] for s, e in zip(whole.starts, whole.ends, strict=True)) == data
    ends: list[int] = []
    fallback: list[bool] = []
    at = window = turn = 0
    while at < len(data):
        window = min(len(data), max(window, at) + sizes[turn % len(sizes)])
        turn += 1
        last = window == len(data)
        size = cut(data[at:window], csv=csv, last=last, limits=SMALL)
        assert size == frame(data[at:window], csv=csv, last=last, limits=SMALL).consumed
        part = frame(data[at : at + size], csv=csv, last=True, limits=SMALL)
        assert part.consumed == size
        ends += (part.ends + at).tolist()
        fallback += part.fallback.tolist()
        at += size
    assert ends == whole.ends.tolist()
    assert fallback == whole.fallback.tolist()
