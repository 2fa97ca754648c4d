"""The catalogue's database: one transaction domain for segments, cursors, events and tickets.

SQLite in one file by default (WAL, synchronous FULL, BEGIN IMMEDIATE), PostgreSQL
when deployed. Write transactions are short: no crypto and no file I/O happens in them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError, OperationalError

from errors import BusyError, StorageError

BUSY_SECONDS = 30.0
"""How long a writer waits for another before it gives up."""


class Catalogue:
    """Connections to the catalogue. ``write()`` and ``read()`` are the only ways in."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> Catalogue:
        """Open the database at a SQLAlchemy URL; nothing is created besides an empty SQLite file."""
        if url.startswith("sqlite"):
            engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
            event.listen(engine, "connect", _sqlite_connect)
            event.listen(engine, "begin", _sqlite_begin)
        else:
            engine = sa.create_engine(url, pool_pre_ping=True)
        return cls(engine)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A write transaction: committed at the end, rolled back on any error.

        Raises:
            BusyError: another writer held the database for too long.
            StorageError: the database could not be read or written.
        """
        with (
            _translated(),
            self.engine.connect() as connection,
            connection.execution_options(liucun_write=True).begin(),
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A read transaction on one consistent snapshot."""
        with _translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def _sqlite_connect(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own transaction handling would start transactions too late for BEGIN IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("liucun_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        text = str(error.orig)
        if "locked" in text or "busy" in text:
            raise BusyError(
                "The catalogue is held by another writer.",
                cure="Wait for the other command to end and try again.",
            ) from error
        raise StorageError(
            f"The catalogue cannot be used: {text}.",
            cure="Check the disk's free space, the file's rights and `liucun doctor`.",
        ) from error
    except sa.exc.IntegrityError:
        raise
    except DatabaseError as error:
        raise StorageError(
            f"The catalogue is damaged or not one of Liucun's: {error.orig}.",
            cure="Restore it from a backup, or rebuild it from the archive's objects.",
        ) from error
