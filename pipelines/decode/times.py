"""Zones, missing years, plausible times, and the month that a record is kept under."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.decode.cells import Bools, Bytes, Int64s
from pipelines.decode.time_text import LOCAL, YEARLESS

TIME: Final = pa.timestamp("us", tz="UTC")

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_EARLIEST: Final = 946_684_800 * _SECOND
"""2000-01-01T00:00:00Z: what lies before is taken for a clock that was never set."""
_LATEST_AHEAD: Final = _DAY
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_FIRST: Final = -62_135_596_800 * _SECOND
_LAST: Final = 253_402_300_800 * _SECOND - 1
_SHANGHAI: Final = 8 * 3600 * _SECOND
"""Offset of Asia/Shanghai, without summer time since 1992 and so for every plausible time."""


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of a moment with a zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_utc(values: Int64s, states: Bytes, zone: str, ingested: datetime) -> Int64s:
    """Resolve local times (see ``time_text``) to microseconds since 1970, UTC.

    Of a time that a change of clocks repeats the first is taken; one that it leaves out counts with the offset before
    the change (RFC 5545, section 3.3.5). A time without a year is taken in the latest year in which it is at most a
    day ahead of the ingest.
    """
    yearless = states == YEARLESS
    if yearless.any():
        values = values.copy()
        values[yearless] = _with_year(values[yearless], zone, ingested)
    local = yearless | (states == LOCAL)
    if not local.any():
        return values
    resolved = values.copy()
    resolved[local] = _local_to_utc(values[local], zone)
    return resolved


def _local_to_utc(values: Int64s, zone: str) -> Int64s:
    # pyarrow's clock knows years -32767 to 32767; what was read lies within 1 to 9999.
    column = pa.array(values, pa.timestamp("us"))
    moments = pc.assume_timezone(column, zone, ambiguous="earliest", nonexistent="earliest")
    # In a gap this is the moment before it: the offset there is what counts.
    utc = moments.cast(pa.int64()).to_numpy()
    result: Int64s = values - (pc.local_timestamp(moments).cast(pa.int64()).to_numpy() - utc)
    return result


def _with_year(values: Int64s, zone: str, ingested: datetime) -> Int64s:
    """Move times of the leap year 2000 to their year."""
    latest = micros(ingested) + _LATEST_AHEAD
    limit = pa.scalar(latest, pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us", tz=zone))
    year = int(pc.year(limit).as_py())
    start = np.datetime64("2000-01-01", "us").astype(np.int64)
    days, clock = np.divmod(values - start, _DAY)
    dates = np.datetime64("2000-01-01", "D") + days
    months = dates.astype("datetime64[M]").astype(np.int64) % 12
    of_month = (dates - dates.astype("datetime64[M]")).astype(np.int64)
    leap_day = (months == 1) & (of_month == 28)
    result: Int64s = np.empty_like(values)
    open_rows = np.ones(len(values), dtype=np.bool_)
    while open_rows.any():
        at = np.datetime64(f"{year:04d}-01", "M") + months
        moved = at.astype("datetime64[D]") + of_month
        exists = ~leap_day | (moved.astype("datetime64[M]") == at)
        candidate = moved.astype("datetime64[us]").astype(np.int64) + clock
        fits = open_rows & exists
        fits[fits] &= _local_to_utc(candidate[fits], zone) <= latest
        result[fits] = candidate[fits]
        open_rows &= ~fits
        year -= 1
    return result


def plausible(values: Int64s, ingested: Int64s | int) -> Bools:
    """Whether times lie between 2000-01-01 and a day after ingest (both in microseconds since 1970)."""
    found: Bools = (values >= _EARLIEST) & (values <= ingested + _LATEST_AHEAD)
    return found


def exists(values: Int64s) -> Bools:
    """Whether times lie within the years 1 to 9999 (UTC), which every reader of the archive can represent."""
    found: Bools = (values >= _FIRST) & (values <= _LAST)
    return found


def retention_anchor(records: pa.RecordBatch) -> pa.TimestampArray:
    """The moment from which a record's retention counts: its event time if plausible, else its ingest."""
    event = records.column("event_time")
    ingested = records.column("event_ingested").cast(pa.int64()).to_numpy()
    values = pc.fill_null(event.cast(pa.int64()), np.iinfo(np.int64).min).to_numpy()
    anchor = np.where(plausible(values, ingested), values, ingested)
    return pa.array(anchor, pa.int64()).cast(TIME)


def shanghai_month(anchor: pa.TimestampArray) -> pa.StringArray:
    """The calendar month in China of each anchor, as ``YYYY-MM``."""
    values: NDArray[np.int64] = anchor.cast(pa.int64()).to_numpy(zero_copy_only=False)
    months = (values + _SHANGHAI).astype("datetime64[us]").astype("datetime64[M]")
    found, index = np.unique(months, return_inverse=True)
    names = pa.array(np.datetime_as_string(found).tolist(), pa.string())
    return names.take(pa.array(index, pa.int64()))
