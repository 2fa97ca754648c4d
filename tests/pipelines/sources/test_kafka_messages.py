"""Messages as records: every message is one row at its own offset, whatever is in it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.batches import Messages, Place, RawBatch
from pipelines.decode.decoder import Decoder
from pipelines.framing import frame_messages
from pipelines.sources.kafka_reading import _cuts
from pipelines.sources.parts import tail
from pipelines.sources.spec import SourceSpec

NOW = datetime(2026, 11, 24, tzinfo=UTC)
KAFKA = {"brokers": ["127.0.0.1:9092"], "topics": ["t"]}


def spec(**given: object) -> SourceSpec:
    fields = {"name": "k", "kind": "kafka", "record_class": "content", "format": "ndjson", "kafka": KAFKA}
    return SourceSpec.model_validate({**fields, **given})


def batch(*values: bytes, offsets: list[int] | None = None, end: int | None = None) -> RawBatch:
    at = np.array(offsets if offsets is not None else range(len(values)), np.int64)
    last = end if end is not None else (int(at[-1]) + 1 if len(at) else 0)
    ends = np.cumsum([len(value) for value in values], dtype=np.int64)
    return RawBatch(Place("k", "t/0#1", 0, last), b"".join(values), True, False, messages=Messages(at, ends))


def test_a_message_is_one_record_even_with_line_breaks_inside() -> None:
    raw = batch(b'{"content_id":\n "a"}', b'{"content_id": "b"}\n', b'{"content_id": "c"}\r\n', b"no json\nat all")
    decoded = Decoder(spec()).decode(raw, NOW)
    assert decoded.records.column("content_id").to_pylist() == ["a", "b", "c"]
    assert decoded.records.column("log_offset").to_pylist() == [0, 1, 2]
    assert decoded.unparsed.column("log_offset").to_pylist() == [3]
    assert decoded.records_in == 4


def test_offsets_are_the_topic_s_own_and_lengths_are_bytes() -> None:
    raw = batch(b'{"content_id":"a"}', b'{"content_id":"bc"}', offsets=[7, 4_000_000_000])
    decoded = Decoder(spec()).decode(raw, NOW)
    assert decoded.records.column("log_offset").to_pylist() == [7, 4_000_000_000]
    assert decoded.records.column("log_length").to_pylist() == [18, 19]


def test_a_deletion_marker_is_counted_as_blank() -> None:
    decoded = Decoder(spec()).decode(batch(b'{"content_id":"a"}', b"", b"  ", b'{"content_id":"b"}'), NOW)
    assert (decoded.records_in, decoded.blank_lines) == (2, 2)
    assert decoded.records.column("log_offset").to_pylist() == [0, 3]


def test_csv_messages_take_their_columns_from_the_declaration() -> None:
    declared = spec(format="csv", csv_columns=["content_id", "text"])
    decoded = Decoder(declared).decode(batch(b'a,"two\nlines"', b"b,x"), NOW)
    assert decoded.records.column("content_id").to_pylist() == ["a", "b"]
    assert decoded.records.column("text").to_pylist() == ["two\nlines", "x"]
    assert decoded.header_rows == 0


def test_a_batch_of_nothing_but_holes_is_no_record() -> None:
    decoded = Decoder(spec()).decode(batch(end=5), NOW)
    assert decoded.records_in == 0
    assert batch(end=5).messages.holes(0, 5) == 5


@given(st.lists(st.binary(max_size=40), max_size=12), st.data())
def test_whatever_comes_every_message_is_accounted_for_once(values: list[bytes], data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.integers(1, 5), min_size=len(values), max_size=len(values)))
    offsets = [int(at) for at in np.cumsum(steps) - 1] if values else []
    raw = batch(*values, offsets=offsets)
    decoded = Decoder(spec()).decode(raw, NOW)
    assert decoded.records_in + decoded.blank_lines == len(values)
    kept = sorted(decoded.records.column("log_offset").to_pylist() + decoded.unparsed.column("log_offset").to_pylist())
    assert len(set(kept)) == len(kept)
    assert set(kept) <= set(offsets)
    cursor = data.draw(st.integers(0, raw.place.end))
    rest = tail(raw, spec(), cursor)
    assert rest.place.start == cursor
    assert rest.messages.offsets.tolist() == [at for at in offsets if at >= cursor]
    assert rest.data == b"".join(v for v, at in zip(values, offsets, strict=True) if at >= cursor)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_the_ending_of_a_message_is_left_out_of_its_content(ending: bytes) -> None:
    data = b"ab" + ending + b"\r" + b"\n" + b"cd" + ending
    ends = np.array([2 + len(ending), 3 + len(ending), 4 + len(ending), len(data)], np.int64)
    frames = frame_messages(data, ends)
    found = [data[s:e] for s, e in zip(frames.starts, frames.content_ends, strict=True)]
    assert found == [b"ab", b"\r", b"", b"cd"]


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 60))
def test_cuts_cover_everything_and_hold_the_size(sizes: list[int], limit: int) -> None:
    cuts = _cuts(np.cumsum(sizes), limit)
    assert cuts[0] == 0
    assert cuts[-1] == len(sizes)
    for begin, end in pairwise(cuts):
        assert begin < end
        assert end == begin + 1 or sum(sizes[begin:end]) <= limit


def test_ranges_without_a_message_are_named() -> None:
    ends = np.arange(1, 5)
    messages = Messages(np.array([2, 3, 7, 8]), ends)
    assert messages.hole_ranges(0, 10, 9) == [(0, 2), (4, 7), (9, 10)]
    assert messages.hole_ranges(0, 10, 1) == [(0, 2)]
