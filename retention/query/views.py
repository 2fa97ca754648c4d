"""The views a query sees: one per record class over its sealed segments, and tables of the catalogue beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from retention.persons.restriction import ACTIVE
from retention.persons.tables import restrictions
from retention.query.sealed import ClassDataset, Reading, TableDataset
from retention.schema import RecordClass

_TIME: Final = pa.timestamp("us", tz="UTC")
_TIME_NAMES: Final = ("at", "time")

CATALOGUE_VIEWS: Final = {"audit_events": "events", "tickets": "tickets"}
"""View and the catalogue's table behind it; sealed columns are left out, and a table that is not there as well."""
_PERSON: Final = "account_blind"
"""The column that says, by a keyed hash, whom a row is about: rows of restricted persons are left out."""


def register_views(connection: duckdb.DuckDBPyConnection, reading: Reading) -> None:
    """Give the sandbox every view. Nothing is read until a query scans it."""
    for record_class in RecordClass:
        connection.register(record_class.view, ClassDataset.of(reading, record_class.value))
    for view, table in CATALOGUE_VIEWS.items():
        columns = _columns(reading.catalogue, table)
        if columns:
            schema = pa.schema([pa.field(column.name, _arrow_type(column)) for column in columns])
            load = _loader(reading, table, columns, schema)
            connection.register(view, TableDataset.of(schema, load))


def _columns(catalogue: Catalogue, table: str) -> list[sa.Column[Any]]:
    """The columns of a table that are not sealed, none if there is no such table."""
    with catalogue.read() as connection:
        inspector = sa.inspect(connection)
        if not inspector.has_table(table):
            return []
        return [
            sa.Column(found["name"], found["type"])
            for found in inspector.get_columns(table)
            if not isinstance(found["type"], sa.LargeBinary)
        ]


def _arrow_type(column: sa.Column[Any]) -> pa.DataType:
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    if isinstance(kind, sa.Float):
        return pa.float64()
    if isinstance(kind, sa.String) and kind.length == 32 and _names_a_moment(column.name):
        return _TIME
    return pa.string()


def _names_a_moment(name: str) -> bool:
    return name in _TIME_NAMES or name.endswith(("_at", "_time"))


def _loader(
    reading: Reading, table: str, columns: Sequence[sa.Column[Any]], schema: pa.Schema
) -> Callable[[], pa.Table]:
    def load() -> pa.Table:
        source = sa.table(table, *columns)
        chosen = sa.select(*source.c)
        if _PERSON in source.c and reading.restricted is not None and len(reading.restricted):
            # A keyed hash still tells one person's rows from all others.
            hidden = sa.select(restrictions.c.account_blind).where(restrictions.c.state == ACTIVE)
            chosen = chosen.where(sa.or_(source.c[_PERSON].is_(None), source.c[_PERSON].not_in(hidden)))
        with reading.catalogue.read() as connection:
            rows = connection.execute(chosen).all()
        found = list(zip(*rows, strict=True)) or [()] * len(columns)
        return pa.Table.from_arrays(
            [_array(values, field.type) for values, field in zip(found, schema, strict=True)], schema=schema
        )

    return load


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if kind == _TIME:
        return pa.array([None if v is None else datetime.fromisoformat(v) for v in values], kind)
    if pa.types.is_string(kind):
        return pa.array([None if v is None else str(v) for v in values], kind)
    return pa.array(values, kind)
