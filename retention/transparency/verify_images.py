"""Checks that rows of tables are what the last event about each of them says.

An event that the log has speaks by salted digests, and by the name of the list of columns that they are of; one that
still waits for its number by the rows themselves. Nothing else beside an event is believed.
"""

from __future__ import annotations

import json
from typing import Final

import orjson
import sqlalchemy as sa

from retention.catalogue import images
from retention.catalogue.events import EVENT
from retention.catalogue.tables import events, image_shapes, log_leaves
from retention.crypto.suites import Suite
from retention.transparency.sequencer import shape_of
from retention.transparency.verdict import LogVerdict, Progress

_PAGE: Final = 2_000


def check_images(connection: sa.Connection, suite: Suite, verdict: LogVerdict, show: Progress) -> None:
    """Every imaged row is what the last event about its subject says, and has such an event."""
    shapes = _shapes(connection, verdict)
    _check_payloads(connection, verdict)
    there = set(sa.inspect(connection).get_table_names())
    for prefix in _imaged_prefixes(connection) - {item.prefix for item in images.registered()}:
        verdict.add("image_unknown", f"{prefix}:", "Events speak of rows of a kind that this program does not know.")
    for item in images.registered():
        expected = _last_images(connection, item)
        if item.table.name not in there:
            if expected:
                verdict.add("table_missing", item.table.name, f"Events speak of {len(expected)} subjects in it.")
            continue
        values = sorted(expected)
        for begin in range(0, len(values), _PAGE):
            part = values[begin : begin + _PAGE]
            _compare(connection, suite, item, {value: expected[value] for value in part}, shapes, verdict)
            show(item.table.name, min(begin + _PAGE, len(values)), len(values))
        key = item.table.c[item.column]
        for value in connection.execute(sa.select(sa.cast(key, sa.String)).distinct()).scalars():
            if value not in expected:
                verdict.add(
                    "row_unlogged", f"{item.prefix}:{value}", f"No event speaks of its rows in {item.table.name}."
                )


def _shapes(connection: sa.Connection, verdict: LogVerdict) -> dict[str, list[str]]:
    """Lists of columns by their short names, which are their digests: a list under another's name is none."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(image_shapes)):
        try:
            columns = [str(name) for name in json.loads(row.columns)]
        except (ValueError, TypeError):
            columns = []
        if shape_of(columns) == row.shape:
            found[row.shape] = columns
        else:
            verdict.add("shape_changed", f"shape:{row.shape}", "Its columns are not those that its name is made of.")
    return found


def _numbered() -> sa.ColumnElement[bool]:
    """Whether the log has an event: its digests count then, and rows that stand beside them are nobody's word."""
    ref = sa.cast(events.c.id, sa.String(64))
    return sa.exists().where(log_leaves.c.type == EVENT, log_leaves.c.ref == ref).correlate(events)


def _check_payloads(connection: sa.Connection, verdict: LogVerdict) -> None:
    """Rows beside a numbered event were put there later: numbering takes them away in the same transaction."""
    left = sa.select(events.c.id).where(events.c.payload.is_not(None), _numbered()).order_by(events.c.id)
    for number in connection.execute(left).scalars():
        verdict.add("payload_unlogged", f"event:{number}", "Rows stand beside it that the log was never told of.")


def _imaged_prefixes(connection: sa.Connection) -> set[str]:
    e = events.c
    position = sa.func.strpos if connection.dialect.name == "postgresql" else sa.func.instr
    prefix = sa.func.substr(e.subject, 1, position(e.subject, ":") - 1)
    imaged = sa.or_(e.images.is_not(None), e.payload.is_not(None))
    return set(connection.execute(sa.select(prefix).where(imaged).distinct()).scalars())


_Image = tuple[int, bytes, str | None, bytes | None]
"""An event's number, salt, digests and payload."""


def _last_images(connection: sa.Connection, item: images.Imaged) -> dict[str, _Image]:
    e = events.c
    numbered = _numbered()
    imaged = sa.or_(e.images.is_not(None), sa.and_(e.payload.is_not(None), ~numbered))
    newest = (
        sa.select(sa.func.max(e.id).label("id"))
        .where(e.subject.startswith(f"{item.prefix}:", autoescape=True), imaged)
        .group_by(e.subject)
        .subquery()
    )
    payload = sa.case((numbered, None), else_=e.payload).label("payload")
    rows = connection.execute(sa.select(e.id, e.subject, e.salt, e.images, payload).join(newest, newest.c.id == e.id))
    return {row.subject.partition(":")[2]: (row.id, bytes(row.salt or b""), row.images, row.payload) for row in rows}


def _compare(
    connection: sa.Connection,
    suite: Suite,
    item: images.Imaged,
    expected: dict[str, _Image],
    shapes: dict[str, list[str]],
    verdict: LogVerdict,
) -> None:
    by_columns: dict[tuple[str, ...], list[tuple[str, int, bytes, bytes | str]]] = {}
    for value, (number, salt, digests, payload) in expected.items():
        where = f"event:{number}"
        try:
            known, columns = _known(item, digests, payload)
        except (ValueError, TypeError, KeyError, IndexError):
            verdict.add("entry_changed", where, "What it says of rows cannot be read.")
            continue
        if isinstance(columns, str):
            if columns not in shapes:
                verdict.add("shape_missing", where, f"It speaks of rows in {item.table.name} by columns nobody knows.")
                continue
            columns = shapes[columns]
        if known is None or not set(columns) <= {column.name for column in item.table.columns}:
            continue  # the table joined its subject, or lost a column, after this event
        by_columns.setdefault(tuple(columns), []).append((value, number, salt, known))
    for columns_, subjects in by_columns.items():
        rows = images.read_rows(connection, item, columns_, [value for value, *_ in subjects])
        for value, number, salt, known in subjects:
            verdict.rows += 1
            now = images.canonical(rows.get(value, []))
            if (suite.hash(salt, now).hex() if isinstance(known, str) else now) != known:
                verdict.add(
                    "row_changed",
                    f"{item.prefix}:{value}",
                    f"Its rows in {item.table.name} are not what event {number}, the last about it, says.",
                )


def _known(
    item: images.Imaged, digests: str | None, payload: bytes | None
) -> tuple[bytes | str | None, list[str] | str]:
    """What an event says of a table's rows: themselves and their columns, or a digest and the name of its columns."""
    if payload is not None:
        image = next((i for i in orjson.loads(payload) if i["table"] == item.table.name), None)
        return (None, []) if image is None else (images.canonical(image["rows"]), list(image["columns"]))
    held = next((d for d in json.loads(digests or "[]") if d[0] == item.table.name), None)
    return (None, []) if held is None else (str(held[2]), str(held[1]))
