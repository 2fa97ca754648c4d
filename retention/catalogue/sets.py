"""Many rows in one statement, whose text stays the same however many there are.

A statement with a parameter for each value costs more to write out than to run, and one execution a row costs a
thousand rounds. PostgreSQL takes rows as one JSON text, which costs its client a tenth of what an array a column does;
SQLite takes values as one JSON text, and rows one by one, which is quick inside the process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

_PLACE: Final = "place_of_row"
FEW: Final = 20
"""So many values are spelled out: the planner then sees them."""


def among(connection: sa.Connection, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """The condition that a column of text or whole numbers has one of some values."""
    if len(values) <= FEW:
        return column.in_(values)
    if _arrays(connection):
        return column == sa.any_(sa.literal(list(values), _array(column)))
    each = sa.func.json_each(json.dumps(list(values), ensure_ascii=False)).table_valued("value")
    return column.in_(sa.select(each.c.value))


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all name the same columns."""
    if not rows:
        return
    if not _arrays(connection):
        connection.execute(table.insert(), list(rows))
        return
    names = list(rows[0])
    connection.execute(table.insert().from_select(names, sa.select(_given(table, names, rows))))


def insert_numbered(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], number: str
) -> list[int]:
    """Insert rows that all name the same columns, and return the numbers that they got, in the rows' order."""
    if not rows:
        return []
    column = table.c[number]
    if not _arrays(connection):
        # The only writer there is numbers upwards from the last: asking once is quicker than an answer for each row.
        last = connection.execute(sa.select(sa.func.max(column))).scalar() or 0
        connection.execute(table.insert(), list(rows))
        return [int(n) for n in connection.execute(sa.select(column).where(column > last).order_by(column)).scalars()]
    names = list(rows[0])
    given = _given(table, names, rows, placed=True)
    chosen = sa.select(*(given.c[name] for name in names)).order_by(given.c[_PLACE])
    # Numbers are drawn in the order of the places, but PostgreSQL does not promise to return them in it.
    return sorted(
        int(n) for n in connection.execute(table.insert().from_select(names, chosen).returning(column)).scalars()
    )


def update_rows(connection: sa.Connection, table: sa.Table, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set columns of rows found by ``key``; all name the same columns, and each key stands once."""
    if not rows:
        return
    names = [name for name in rows[0] if name != key]
    if not _arrays(connection):
        given = [{f"b_{name}": value for name, value in row.items()} for row in rows]
        chosen = table.update().where(table.c[key] == sa.bindparam(f"b_{key}"))
        connection.execute(chosen.values({name: sa.bindparam(f"b_{name}") for name in names}), given)
        return
    source = _given(table, [key, *names], rows)
    chosen = table.update().where(table.c[key] == source.c[key])
    connection.execute(chosen.values({name: source.c[name] for name in names}))


def delete_rows(connection: sa.Connection, table: sa.Table, keys: Sequence[Mapping[str, Any]]) -> None:
    """Delete rows found by several columns; all keys name the same."""
    if not keys:
        return
    names = list(keys[0])
    if not _arrays(connection):
        given = [{f"b_{name}": value for name, value in row.items()} for row in keys]
        connection.execute(table.delete().where(*(table.c[name] == sa.bindparam(f"b_{name}") for name in names)), given)
        return
    source = _given(table, names, keys)
    connection.execute(table.delete().where(*(table.c[name] == source.c[name] for name in names)))


def _arrays(connection: sa.Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _array(column: sa.ColumnElement[Any]) -> ARRAY[Any]:
    """Texts of any length: a cast to a bounded type would cut them without a word, where the column refuses them."""
    return ARRAY(sa.Text() if isinstance(column.type, sa.String) else column.type)


def _given(
    table: sa.Table, names: Sequence[str], rows: Sequence[Mapping[str, Any]], *, placed: bool = False
) -> sa.TableValuedAlias:
    """Rows as a table of the server's, by the names of their columns."""
    # As text of any length: a bounded type would cut it without a word, where the column itself refuses it.
    kinds = {name: sa.Text() if isinstance(table.c[name].type, sa.String) else table.c[name].type for name in names}
    columns: list[sa.ColumnClause[Any]] = [sa.column(name, kind) for name, kind in kinds.items()]
    if placed:
        columns.append(sa.column(_PLACE, sa.BigInteger()))
    document = sa.cast(sa.literal(_document(kinds, rows, placed=placed), sa.Text()), sa.JSON())
    return sa.func.json_to_recordset(document).table_valued(*columns).render_derived(with_types=True)


def _document(kinds: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], *, placed: bool) -> str:
    """Rows as a JSON list of objects, each value as PostgreSQL reads it: bytes as ``\\x`` and digits."""
    floats = [name for name, kind in kinds.items() if isinstance(kind, sa.Float)]
    written = []
    for place, row in enumerate(rows):
        one = {name: row[name] for name in kinds}
        for name in floats:  # as text: JSON has no NaN and no infinity
            one[name] = None if one[name] is None else repr(float(one[name]))
        if placed:
            one[_PLACE] = place
        written.append(one)
    spelled = _spelled(written)
    if "\\u0000" not in spelled:
        return spelled
    # The driver is loaded by now, and knows how such texts are kept.
    from retention.catalogue.postgres_text import without_nul

    return _spelled([{name: without_nul(value) for name, value in one.items()} for one in written])


def _spelled(rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        return orjson.dumps(rows, default=_digits).decode()
    except orjson.JSONEncodeError:  # half a surrogate pair, or a whole number beyond 64 bits: the server's to refuse
        return json.dumps(rows, default=_digits, ensure_ascii=False)


def _digits(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + value.hex()
    raise TypeError(f"{type(value).__name__} is no value of a column")
