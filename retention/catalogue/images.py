"""Images of rows: an event's subject carries its rows, as they stand when the event's transaction ends, into the log.

A room registers which of its tables belong to a kind of subject. Then every event about ``ticket:T1`` brings the
rows of ticket T1 along by itself: the log can prove what they were, and the catalogue can be rebuilt from it.
A change without an event shows up as a row that differs from its last image.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa

from retention.catalogue import sets

_BYTES: Final = "$b64"
_LOOK_UP: Final = 1_000


@dataclass(frozen=True, slots=True)
class Imaged:
    """A table whose rows belong to subjects ``prefix:VALUE``, VALUE in ``column``."""

    prefix: str
    table: sa.Table
    column: str

    def value_of(self, text: str) -> Any:
        """The value of ``column`` that a subject's text stands for."""
        return int(text) if isinstance(self.table.c[self.column].type, sa.Integer) else text


_registry: dict[str, list[Imaged]] = {}


def register(prefix: str, table: sa.Table, column: str) -> None:
    """Declare that rows of ``table`` belong to the subject ``prefix:`` followed by the value of ``column`` (text)."""
    kept = _registry.setdefault(prefix, [])
    if all(item.table.name != table.name for item in kept):
        kept.append(Imaged(prefix, table, column))


def registered() -> list[Imaged]:
    """Every imaged table, by subject."""
    return [item for prefix in sorted(_registry) for item in _registry[prefix]]


def present(connection: sa.Connection) -> list[Imaged]:
    """The imaged tables that this database has: rooms that a store never used have none in it."""
    there = set(sa.inspect(connection).get_table_names())
    return [item for item in registered() if item.table.name in there]


def images(connection: sa.Connection, subjects: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """For each subject with imaged tables: ``{"table", "columns", "rows"}`` a table, rows in order of their key."""
    values: dict[str, list[str]] = {}
    for subject in dict.fromkeys(subjects):
        prefix, separator, value = subject.partition(":")
        if separator and prefix in _registry:
            values.setdefault(prefix, []).append(value)
    found: dict[str, list[dict[str, Any]]] = {}
    for prefix, wanted in values.items():
        for item in _registry[prefix]:
            columns = [column.name for column in item.table.columns]
            rows = read_rows(connection, item, columns, wanted)
            for value in wanted:
                image = {"table": item.table.name, "columns": columns, "rows": rows.get(value, [])}
                found.setdefault(f"{prefix}:{value}", []).append(image)
    return found


def read_rows(
    connection: sa.Connection, item: Imaged, columns: Sequence[str], values: Sequence[str]
) -> dict[str, list[list[Any]]]:
    """The rows of subjects, as lists of plain values in the order of ``columns``, by the subject's value."""
    table = item.table
    key = table.c[item.column]
    order = [*table.primary_key.columns]
    binary = [at for at, name in enumerate(columns) if isinstance(table.c[name].type, sa.LargeBinary)]
    found: dict[str, list[list[Any]]] = {}
    for begin in range(0, len(values), _LOOK_UP):
        chosen = sa.select(key.label("_key"), *(table.c[name].label(f"c_{name}") for name in columns))
        part = [item.value_of(value) for value in values[begin : begin + _LOOK_UP]]
        for row in connection.execute(chosen.where(sets.among(connection, key, part)).order_by(*order)):
            plain = [*row[1:]]
            for at in binary:
                plain[at] = _plain(plain[at])
            found.setdefault(str(row[0]), []).append(plain)
    return found


def canonical(rows: Sequence[Sequence[Any]]) -> bytes:
    """The one spelling of rows that digests are taken over."""
    return orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)


def restored(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """A row of an image as the values to insert."""
    return dict(zip(columns, (_value(item) for item in row), strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {_BYTES: base64.b64encode(bytes(value)).decode()}
    return value


def _value(item: Any) -> Any:
    if isinstance(item, Mapping):
        return base64.b64decode(item[_BYTES])
    return item
