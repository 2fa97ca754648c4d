"""Many rows in one statement, whose text stays the same however many there are.

A statement with a parameter for each value costs more to write out than to run, and one execution a row costs a
thousand rounds. PostgreSQL takes rows as one JSON text, and the bytes in them in one piece, a tenth of what arrays
cost its client; SQLite takes values as one JSON text, and rows one by one, which is quick inside the process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, REGCLASS

_AT: Final = "_begins_at"
_LONG: Final = "_bytes"
_BETWEEN: Final = "\x1f"
"""INFORMATION SEPARATOR ONE; texts that hold it go as an array."""
FEW: Final = 20
"""So many values are spelled out: the planner then sees them."""


def among(connection: sa.Connection, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """The condition that a column of text or whole numbers has one of some values."""
    if len(values) <= FEW:
        return column.in_(values)
    if not _postgres(connection) and any(isinstance(value, str) and "\x00" in value for value in values):
        return column.in_(values)  # SQLite's JSON ends a text there
    if _postgres(connection):
        return column == sa.any_(_one_text(values) if _joins(values) else sa.literal(list(values), _array(column)))
    each = sa.func.json_each(json.dumps(list(values), ensure_ascii=False)).table_valued("value")
    return column.in_(sa.select(each.c.value))


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all name the same columns."""
    if not rows:
        return
    if not _postgres(connection):
        connection.execute(table.insert(), list(rows))
        return
    names = list(rows[0])
    given = _given(table, names, rows)
    chosen = sa.select(*(given.values[name] for name in names)).select_from(given.table)
    connection.execute(table.insert().from_select(names, chosen))


def insert_numbered(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], number: str
) -> list[int]:
    """Insert rows that all name the same columns, and return the numbers that they got, in the rows' order."""
    if not rows:
        return []
    column = table.c[number]
    if not _postgres(connection):
        # The only writer there is numbers upwards from the last: asking once is quicker than an answer for each row.
        last = connection.execute(sa.select(sa.func.max(column))).scalar() or 0
        connection.execute(table.insert(), list(rows))
        return [int(n) for n in connection.execute(sa.select(column).where(column > last).order_by(column)).scalars()]
    # Drawn before: to return them PostgreSQL would have to sort the rows, and does so on disk.
    numbers = _drawn(connection, column, len(rows))
    insert_rows(connection, table, [{**row, number: n} for row, n in zip(rows, numbers, strict=True)])
    return numbers


def _drawn(connection: sa.Connection, column: sa.Column[Any], count: int) -> list[int]:
    """The next numbers of a column of PostgreSQL's that numbers itself, in order."""
    name = connection.dialect.identifier_preparer.format_table(column.table)
    sequence = sa.cast(sa.func.pg_get_serial_sequence(name, column.name), REGCLASS)
    # Looked up once: beside the numbers it would be looked up for each.
    of = sa.select(sequence.label("sequence")).offset(0).subquery()
    each = sa.func.generate_series(1, count).table_valued("n")
    drawn = sa.select(sa.func.nextval(of.c.sequence)).select_from(of.join(each, sa.true()))
    return sorted(int(n) for n in connection.execute(drawn).scalars())


def update_rows(connection: sa.Connection, table: sa.Table, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set columns of rows found by ``key``; all name the same columns, and each key stands once."""
    if not rows:
        return
    names = [name for name in rows[0] if name != key]
    if not _postgres(connection):
        given = [{f"b_{name}": value for name, value in row.items()} for row in rows]
        chosen = table.update().where(table.c[key] == sa.bindparam(f"b_{key}"))
        connection.execute(chosen.values({name: sa.bindparam(f"b_{name}") for name in names}), given)
        return
    source = _given(table, [key, *names], rows).values
    chosen = table.update().where(table.c[key] == source[key])
    connection.execute(chosen.values({name: source[name] for name in names}))


def delete_rows(connection: sa.Connection, table: sa.Table, keys: Sequence[Mapping[str, Any]]) -> None:
    """Delete rows found by several columns; all keys name the same."""
    if not keys:
        return
    names = list(keys[0])
    if not _postgres(connection):
        given = [{f"b_{name}": value for name, value in row.items()} for row in keys]
        connection.execute(table.delete().where(*(table.c[name] == sa.bindparam(f"b_{name}") for name in names)), given)
        return
    source = _given(table, names, keys).values
    connection.execute(table.delete().where(*(table.c[name] == source[name] for name in names)))


def _postgres(connection: sa.Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _joins(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) and _BETWEEN not in value for value in values)


def _one_text(values: Sequence[str]) -> sa.ColumnElement[Any]:
    """Texts as an array of the server's, sent in one piece: its client spells an array out one by one."""
    return sa.func.string_to_array(sa.literal(_BETWEEN.join(values), sa.Text()), _BETWEEN, type_=ARRAY(sa.Text()))


def _array(column: sa.ColumnElement[Any]) -> ARRAY[Any]:
    """Texts of any length: a cast to a bounded type would cut them without a word, where the column refuses them."""
    return ARRAY(sa.Text() if isinstance(column.type, sa.String) else column.type)


@dataclass(frozen=True, slots=True)
class _Given:
    """Rows as a table of the server's, and what each column of them is there."""

    table: sa.TableValuedAlias
    values: Mapping[str, sa.ColumnElement[Any]]


def _given(table: sa.Table, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> _Given:
    # As text of any length: a bounded type would cut it without a word, where the column itself refuses it.
    kinds = {name: sa.Text() if isinstance(table.c[name].type, sa.String) else table.c[name].type for name in names}
    pieces = [name for name, kind in kinds.items() if isinstance(kind, sa.LargeBinary)]
    document, joined = _document(kinds, pieces, rows)
    columns: list[sa.ColumnClause[Any]] = []
    for name, kind in kinds.items():
        if name in pieces:
            columns += [sa.column(name + _AT, sa.Integer()), sa.column(name + _LONG, sa.Integer())]
        else:
            columns.append(sa.column(name, kind))
    text = sa.cast(sa.literal(document, sa.Text()), sa.JSON())
    given = sa.func.json_to_recordset(text).table_valued(*columns).render_derived(with_types=True)
    whole = sa.bindparam("pieces_of_rows", joined, sa.LargeBinary())
    values: dict[str, sa.ColumnElement[Any]] = {}
    for name, kind in kinds.items():
        if name in pieces:
            place = (given.c[name + _AT], given.c[name + _LONG])
            values[name] = sa.func.substring(whole, *place, type_=kind)
        else:
            values[name] = given.c[name]
    return _Given(given, values)


def _document(kinds: Mapping[str, Any], pieces: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[str, bytes]:
    """Rows as a JSON list of objects, each value as PostgreSQL reads it, and the bytes of all in one piece.

    Of bytes the objects say where theirs begin (from 1) and how many they are: as digits they would be twice as long,
    and read three times.
    """
    floats = [name for name, kind in kinds.items() if isinstance(kind, sa.Float)]
    plain = [name for name in kinds if name not in pieces]
    written, joined, begin = [], [], 1
    for row in rows:
        one: dict[str, Any] = {name: row[name] for name in plain}
        for name in floats:  # as text: JSON has no NaN and no infinity
            one[name] = None if one[name] is None else repr(float(one[name]))
        for name in pieces:
            if (value := row[name]) is not None:
                joined.append(value)
                one[name + _AT], one[name + _LONG] = begin, len(value)
                begin += len(value)
        written.append(one)
    spelled = _spelled(written)
    if "\\u0000" in spelled:
        # The driver is loaded by now, and knows how such texts are kept.
        from retention.catalogue.postgres_text import without_nul

        spelled = _spelled([{name: without_nul(value) for name, value in one.items()} for one in written])
    return spelled, b"".join(joined)


def _spelled(rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        return orjson.dumps(rows).decode()
    except orjson.JSONEncodeError:  # half a surrogate pair, or a whole number beyond 64 bits: the server's to refuse
        return json.dumps(rows, ensure_ascii=False)
