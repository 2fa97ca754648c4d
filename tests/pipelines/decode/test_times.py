# ruff: noqa: E501
"""Times as logs write them, zones and clock changes, anchors and months."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.decode import retention_anchor, shanghai_month
from pipelines.decode.reasons import Reason
from tests.pipelines.decode.helpers import NOW, decode, reasons


def read(value: Any, **spec: Any) -> tuple[str | None, str | None]:
    """The event time (ISO, UTC) and the flags of one record."""
    batch = decode("ndjson", json.dumps({"event_time": value}).encode(), **spec)
    assert reasons(batch) == []
    time = batch.records.column("event_time").to_pylist()[0]
    return (None if time is None else time.isoformat().replace("+00:00", "Z")), batch.records.column(
        "flags"
    ).to_pylist()[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2025-06-01T08:00:00Z", "2025-06-01T08:00:00Z"),
        ("2025-06-01T08:00:00z", "2025-06-01T08:00:00Z"),
        ("2025-06-01T08:00:00.123456789+08:00", "2025-06-01T00:00:00.123456Z"),
        ("2025-06-01T08:00:00,5+0800", "2025-06-01T00:00:00.500000Z"),
        ("2025-06-01 08:00:00 -05", "2025-06-01T13:00:00Z"),
        ("2025-06-01 08:00:00 UTC", "2025-06-01T08:00:00Z"),
        ("2025-06-01T08:00+05:45", "2025-06-01T02:15:00Z"),
        ("20250601T080000Z", "2025-06-01T08:00:00Z"),
        ("20250601T0800+0800", "2025-06-01T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2025-06-01T24:00:00Z", "2025-06-02T00:00:00Z"),
        ("01/Jun/2025:08:00:00 +0800", "2025-06-01T00:00:00Z"),
        (1748736000, "2025-06-01T00:00:00Z"),
        (1748736000.25, "2025-06-01T00:00:00.250000Z"),
        ("1748736000123", "2025-06-01T00:00:00.123000Z"),
        (1748736000123456, "2025-06-01T00:00:00.123456Z"),
        (1748736000123456789, "2025-06-01T00:00:00.123456Z"),
        ("  2025-06-01T08:00:00Z ", "2025-06-01T08:00:00Z"),
    ],
)
def test_with_zone(value: Any, expected: str) -> None:
    assert read(value) == (expected, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2010-12-01 08:26:00", "2010-12-01T00:26:00Z"),
        ("2010-12-01T08:26:00", "2010-12-01T00:26:00Z"),
        ("2010/12/1 8:26", "2010-12-01T00:26:00Z"),
        ("2010-12-01", "2010-11-30T16:00:00Z"),
        ("12/1/2010 8:26", "2010-12-01T00:26:00Z"),
        ("12/01/2010 08:26:30 PM", "2010-12-01T12:26:30Z"),
        ("12/1/2010 12:05 am", "2010-11-30T16:05:00Z"),
        ("20101201082600", "2010-12-01T00:26:00Z"),
        (20101201082600, "2010-12-01T00:26:00Z"),
        ("20101201", "2010-11-30T16:00:00Z"),
        ("Dec 10 2010 06:55:46", "2010-12-09T22:55:46Z"),
    ],
)
def test_without_zone(value: Any, expected: str) -> None:
    assert read(value) == (expected, "zone_assumed")


@pytest.mark.parametrize(
    ("value", "zone", "expected"),
    [
        ("2025-03-09 02:30:00", "America/New_York", "2025-03-09T07:30:00Z"),
        ("2025-11-02 01:30:00", "America/New_York", "2025-11-02T05:30:00Z"),
        ("2025-07-01 00:00:00", "Europe/London", "2025-06-30T23:00:00Z"),
        ("2025-01-01 00:00:00", "UTC", "2025-01-01T00:00:00Z"),
    ],
)
def test_clock_changes(value: str, zone: str, expected: str) -> None:
    assert read(value, time_zone=zone)[0] == expected


@pytest.mark.parametrize(
    ("value", "now", "expected"),
    [
        ("Dec 10 06:55:46", "2026-03-01T12:00:00", "2025-12-09T22:55:46Z"),
        ("Mar  1 06:55:46", "2026-03-01T12:00:00", "2026-02-28T22:55:46Z"),
        ("Mar 02 18:00:00", "2026-03-01T12:00:00", "2026-03-02T10:00:00Z"),
        ("Mar 03 00:00:00", "2026-03-01T12:00:00", "2025-03-02T16:00:00Z"),
        ("Jan  1 00:00:00", "2025-12-31T18:00:00", "2025-12-31T16:00:00Z"),
        ("Feb 29 10:00:00", "2026-03-01T12:00:00", "2024-02-29T02:00:00Z"),
    ],
)
def test_without_year(value: str, now: str, expected: str) -> None:
    assert read(value, now=datetime.fromisoformat(now).replace(tzinfo=UTC)) == (expected, "zone_assumed,year_assumed")


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (None, "time_missing"),
        ("", "time_missing"),
        ("  ", "time_missing"),
        (0, "time_implausible"),
        ("1970-01-01T00:00:00Z", "time_implausible"),
        ("1999-12-31T23:59:59Z", "time_implausible"),
        ("2000-01-01T00:00:00Z", None),
        ("2999-01-01T00:00:00Z", "time_implausible"),
        ("2026-03-02T12:00:00Z", None),
        ("2026-03-02T12:00:00.000001Z", "time_implausible"),
        (-1, "time_implausible"),
    ],
)
def test_plausibility(value: Any, flags: str | None) -> None:
    assert read(value)[1] == flags


@pytest.mark.parametrize(
    "value",
    [
        "yesterday", "2025-13-01", "2025-02-29", "2025-06-31 00:00", "2025-06-01T25:00:00Z", "2025-06-01 08:60", "13/25/2025 8:00",
        "2025-06-01T08:00:00+99:00", "2025-06-01T08:00:00Q", "2025-06-01T", "2025-6", "12:30", "-", "1e9", "1.2.3", "99999999999999999999",
        "32/May/2025:00:00:00 +0000", "01/Foo/2025:00:00:00 +0000", "Foo 10 06:55:46", "Dec", "Dec 10", "Dec 32 00:00:00",
        "12/1/2010 13:00 PM", "0001-01-01 00:00:00", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "2025-06-01T08:00:00.Z", "中文", "--5",
    ],
)  # fmt: skip
def test_unreadable(value: str) -> None:
    batch = decode("ndjson", json.dumps({"event_time": value}).encode())
    assert reasons(batch) == [Reason.UNREADABLE_TIME]


@settings(max_examples=150)
@given(
    moment=st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    hours=st.integers(-14, 14),
    spec=st.sampled_from(["microseconds", "seconds", "milliseconds"]),
)
def test_agrees_with_datetime(moment: datetime, hours: int, spec: str) -> None:
    text = f"{moment.isoformat(timespec=spec)}{hours:+03d}:00"
    batch = decode("ndjson", json.dumps({"event_time": text}).encode())
    expected = datetime.fromisoformat(text) - timedelta(hours=0)
    try:
        expected = expected.astimezone(UTC)
    except OverflowError:
        assert reasons(batch) == [Reason.UNREADABLE_TIME]
        return
    assert batch.records.column("event_time").to_pylist() == [expected]


@settings(max_examples=200)
@given(text=st.text(alphabet="0123456789-/:. TZ+,JanDecMay", max_size=30))
def test_any_text_is_a_time_or_not(text: str) -> None:
    batch = decode("ndjson", json.dumps({"event_time": text}).encode())
    assert batch.records_in == 1
    assert reasons(batch) in ([], [Reason.UNREADABLE_TIME])
    batch.records.column("event_time").to_pylist()


def test_other_times_do_not_make_a_row_unparsed() -> None:
    data = b'{"user_registration_time":"2020-01-01 00:00:00","transaction_completed_at":"?","event_time":1748736000}'
    row = decode("ndjson", data).records.to_pylist()[0]
    assert row["user_registration_time"] == datetime(2019, 12, 31, 16, tzinfo=UTC)
    assert row["transaction_completed_at"] is None
    assert row["extra"] == [("transaction_completed_at", "?")]
    assert row["flags"] == "zone_assumed,value_kept_as_text"


def test_anchor_and_month() -> None:
    lines = [1748736000, "2025-05-31T15:59:59.999999Z", "2025-05-31T16:00:00Z", 0, "2999-01-01", None]
    batch = decode("ndjson", b"\n".join(json.dumps({"event_time": value}).encode() for value in lines))
    anchor = retention_anchor(batch.records)
    assert anchor.to_pylist()[3:] == [NOW, NOW, NOW]
    assert shanghai_month(anchor).to_pylist() == ["2025-06", "2025-05", "2025-06", "2026-03", "2026-03", "2026-03"]
    assert retention_anchor(batch.unparsed).to_pylist() == []
    assert shanghai_month(retention_anchor(batch.unparsed)).type == pa.string()


def test_month_of_a_large_column() -> None:
    seconds = np.arange(0, 400 * 86_400, 977) + 1_700_000_000
    anchor = pa.array(seconds * 1_000_000, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    expected = [(datetime.fromtimestamp(int(s), UTC) + timedelta(hours=8)).strftime("%Y-%m") for s in seconds]
    assert shanghai_month(anchor).to_pylist() == expected
