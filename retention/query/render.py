"""Turns a result into bytes: a table for eyes, JSON, CSV, Parquet.

JSON: decimals are numbers with every digit, times are ISO 8601 with their offset (in UTC where the zone's time would
leave the years 1 to 9999), binary is base64, maps are objects; NaN and infinities, which JSON has not, are strings.
CSV (RFC 4180) writes the same words without quotes around text, nested values as JSON, and nothing for NULL.
"""

from __future__ import annotations

import base64
import csv
import io
import math
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from retention.query.errors import QueryInvalidError
from retention.query.run import Rendered

FORMATS: Final = ("table", "json", "csv", "parquet")
WIDEST_CELL: Final = 60
"""Columns of a terminal that one cell of a table may take."""
_ROWS_AT_ONCE: Final = 2 << 10
"""Rows that are Python objects at a time."""


def renderer(name: str, time_zone: str) -> Callable[[pa.Table], Rendered]:
    """The renderer of a format; times with a zone are shown in ``time_zone``.

    Raises:
        QueryInvalidError: there is no such zone.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise QueryInvalidError(
            f"There is no time zone {time_zone!r}.", cure="Name one of the IANA zones, for example Asia/Shanghai."
        ) from error
    by_name: dict[str, Callable[[pa.Table], bytes]] = {
        "table": lambda table: _as_table(table, zone),
        "json": lambda table: _as_json(table, zone),
        "csv": lambda table: _as_csv(table, zone),
        "parquet": _as_parquet,
    }
    chosen = by_name[name]
    return lambda table: Rendered(chosen(table), name)


def _as_json(table: pa.Table, zone: ZoneInfo) -> bytes:
    names = table.column_names
    out = io.BytesIO()
    between = b"["
    for batch in _pieces(table):
        columns = [_plain_column(column, zone) for column in batch.columns]
        for row in zip(*columns, strict=True):
            out.write(between)
            out.write(orjson.dumps(dict(zip(names, row, strict=True))))
            between = b",\n "
    out.write(b"]\n" if out.tell() else b"[]\n")
    return out.getvalue()


def _as_csv(table: pa.Table, zone: ZoneInfo) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(table.column_names)
    for batch in _pieces(table):
        columns = [[_word(value, zone) for value in _values(column)] for column in batch.columns]
        writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode("utf-8", "surrogatepass")


def _as_parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def _as_table(table: pa.Table, zone: ZoneInfo) -> bytes:
    names = [_shown(name) for name in table.column_names]
    columns = [[_shown(_cell(value, zone)) for value in _values(column)] for column in table.columns]
    widths = [max(map(_width, [name, *cells])) for name, cells in zip(names, columns, strict=True)]
    right = [_is_number(field.type) for field in table.schema]
    lines = ["  ".join(map(_padded, names, widths, right)).rstrip(), "  ".join("─" * width for width in widths)]
    lines += ["  ".join(map(_padded, row, widths, right)).rstrip() for row in zip(*columns, strict=True)]
    lines.append(f"({table.num_rows} row{'' if table.num_rows == 1 else 's'})")
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _pieces(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """A table in pieces of ``_ROWS_AT_ONCE`` rows, about: an answer may come in a great many of a row or two each."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        if rows + batch.num_rows > _ROWS_AT_ONCE:
            yield from pa.Table.from_batches(held).combine_chunks().to_batches()
            held, rows = [], 0
        held.append(batch)
        rows += batch.num_rows
    if held:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column as Python's objects, times with a zone in UTC, in which the archive's years 1 to 9999 all exist."""
    in_utc = _in_utc(column.type)
    values: list[Any] = (column if in_utc == column.type else column.cast(in_utc)).to_pylist()
    return values


def _in_utc(kind: pa.DataType) -> pa.DataType:
    """A type with all its times that have a zone in UTC, those within lists, maps and structs too."""
    types = pa.types
    if types.is_timestamp(kind):
        return pa.timestamp(kind.unit, "UTC") if kind.tz else kind
    if types.is_map(kind):
        return pa.map_(_in_utc(kind.key_type), _in_utc(kind.item_type))
    if types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_in_utc(kind.value_type)))
    if types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_in_utc(kind.value_type)))
    if types.is_struct(kind):
        return pa.struct([field.with_type(_in_utc(field.type)) for field in kind])
    return kind


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """A time in a zone. In UTC where it would leave the years that can be written, as the last hours of 9999 do."""
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.astimezone(UTC)


def _plain_column(column: pa.Array, zone: ZoneInfo) -> list[Any]:
    """A column as ``orjson`` writes it; most kinds need no look at each value."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    values = _values(column)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_null(kind):
        return values
    return [value if value is None else _plain(value, zone) for value in values]


def _plain(value: Any, zone: ZoneInfo) -> Any:  # noqa: PLR0912  # one line a type
    """A value as ``orjson`` writes it."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -(1 << 63) <= value < 1 << 64 else orjson.Fragment(str(value))
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            return orjson.Fragment(format(value, "f")) if value.is_finite() else str(value)
        case datetime():
            return _local(value, zone).isoformat()
        case date() | clock():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case pa.MonthDayNano():
            return f"P{value.months}M{value.days}DT{value.nanoseconds / 1e9:g}S"
        case dict():
            return {str(key): _plain(item, zone) for key, item in value.items()}
        case [(_, _), *_] if all(isinstance(item, tuple) for item in value):
            return {_word(key, zone): _plain(item, zone) for key, item in value}
        case list() | tuple():
            return [_plain(item, zone) for item in value]
        case timedelta():
            return str(value)
        case _:
            return str(value)


def _word(value: Any, zone: ZoneInfo) -> str:
    """A value as one word of CSV, or as a key of an object."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    plain = _plain(value, zone)
    if isinstance(plain, str):
        return plain
    return orjson.dumps(plain).decode()


def _cell(value: Any, zone: ZoneInfo) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        moment = _local(value, zone)
        return moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{moment.microsecond:06d}" if moment.microsecond else "")
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return _word(value, zone)


def _shown(text: str) -> str:
    """Text with signs that would steer a terminal made visible, cut to the widest cell."""
    text = text[: WIDEST_CELL * 4]
    safe = "".join(sign if unicodedata.category(sign)[0] != "C" else repr(sign)[1:-1] for sign in text)
    if _width(safe) <= WIDEST_CELL:
        return safe
    kept, room = [], WIDEST_CELL - 1
    for sign in safe:
        room -= _width(sign)
        if room < 0:
            break
        kept.append(sign)
    return "".join(kept) + "…"


def _width(text: str) -> int:
    """Columns that a terminal gives to a text."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
