"""A DuckDB that can reach nothing but the views it is given: no files, no extensions, no settings, no disk."""

from __future__ import annotations

import os
from typing import Final

import duckdb

from retention.query.errors import QueryInvalidError, QueryRefusedError, QueryTooLargeError

MAX_SQL: Final = 100_000
"""Longest accepted text of a query, in characters."""

_LOCKED: Final = {
    "temp_directory": "",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "python_enable_replacements": "false",
}


def sandbox(*, memory_bytes: int, threads: int | None, time_zone: str) -> duckdb.DuckDBPyConnection:
    """A fresh database in memory. Register the views, then call ``lock``. ``time_zone`` is a zone that exists."""
    config: dict[str, str | bool | int | float | list[str]] = {
        **_LOCKED,
        "memory_limit": f"{memory_bytes // 1024}KiB",
        "threads": str(threads or os.cpu_count() or 1),
    }
    connection = duckdb.connect(":memory:", config=config)
    # Only after the temporary folder was taken away: it could not be changed any more.
    connection.execute("SET enable_external_access = false").complete()
    quoted = time_zone.replace("'", "''")
    connection.execute(f"SET TimeZone = '{quoted}'").complete()
    return connection


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Let no setting be changed from now on."""
    connection.execute("SET lock_configuration = true").complete()


def checked(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The text, if it is one statement that only reads.

    Raises:
        QueryRefusedError: it is empty, too long, several statements, or one that does more than read.
        QueryInvalidError: it is no SQL.
    """
    if len(sql) > MAX_SQL:
        raise QueryRefusedError(f"The query is {len(sql)} characters long; {MAX_SQL} is the limit.", cure="Shorten it.")
    if "\x00" in sql:
        raise QueryRefusedError("The query contains a NUL character.", cure="Remove it.")
    if any("\ud800" <= sign <= "\udfff" for sign in sql):
        raise QueryRefusedError("The query contains half of a surrogate pair.", cure="Write it in UTF-8.")
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise invalid(error) from error
    if not statements:
        raise QueryRefusedError("The query is empty.", cure="Write one SELECT statement.")
    if len(statements) > 1:
        raise QueryRefusedError(
            f"The text holds {len(statements)} statements; one query is one statement.", cure="Ask them one by one."
        )
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = str(statements[0].type).rpartition(".")[2]
        raise QueryRefusedError(
            f"{kind} is not a statement that only reads.",
            cure="Write a SELECT (WITH, VALUES, FROM, DESCRIBE and SUMMARIZE are fine as well).",
        )
    return sql


def translated(error: duckdb.Error) -> QueryInvalidError | QueryRefusedError | QueryTooLargeError:
    """DuckDB's error as one of ours."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryTooLargeError(
            "The query needs more memory than it is allowed; nothing is ever spilled to disk.",
            cure="Narrow it by time or columns, aggregate, or raise --memory.",
        )
    if isinstance(error, duckdb.PermissionException):
        return QueryRefusedError(
            "The query reaches for files, extensions or settings.",
            cure="A query reads the views only; `DESCRIBE user_logs` shows their columns.",
        )
    return invalid(error)


def invalid(error: duckdb.Error) -> QueryInvalidError:
    """DuckDB's word on what is wrong with the SQL."""
    text = str(error).strip() or type(error).__name__
    return QueryInvalidError(
        f"The query cannot be run: {text}.", cure="Correct the SQL; docs/query.md lists the views and their columns."
    )
