"""The catalogue's database: one transaction domain for segments, cursors, events and tickets.

SQLite in one file by default (WAL, synchronous FULL, BEGIN IMMEDIATE), PostgreSQL
when deployed. Write transactions are short: no crypto and no file I/O happens in them.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

from errors import SettingsError, UnreachableError
from retention.catalogue import events
from retention.catalogue.failures import translated

BUSY_SECONDS: Final = 30.0
"""How long a writer waits for another before it gives up."""
RECONNECT_SECONDS: Final = 20.0
"""How long a server that was reached before may be away (a restart) until a transaction gives up on it."""
CONNECT_SECONDS: Final = 10
"""How long one attempt to reach the server may take."""
_POSTGRES_DRIVER: Final = "postgresql+psycopg"


class Catalogue:
    """Connections to the catalogue. ``write()`` and ``read()`` are the only ways in."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._postgres = engine.dialect.name == "postgresql"
        self._reached = False
        self._closing = threading.Event()

    @classmethod
    def open(cls, url: str) -> Catalogue:
        """Open the database at a SQLAlchemy URL; nothing is created besides an empty SQLite file.

        Raises:
            SettingsError: the URL is malformed or names a database that Liucun does not work with.
        """
        return cls(_engine(checked_url(url)))

    @contextmanager
    def write(self, *, row_locks: bool = False) -> Iterator[sa.Connection]:
        """A write transaction: committed at the end, rolled back on any error.

        It sees and leaves the database as if no other ran beside it. SQLite lets one writer in at a time;
        PostgreSQL runs it as SERIALIZABLE and may refuse it at any statement or at its end, to be tried again.

        Args:
            row_locks: the caller locks every row that its decisions rest on (``FOR UPDATE``) or leaves them to
                unique constraints; PostgreSQL then runs at READ COMMITTED: waiting instead of refusals.

        Raises:
            ConflictError: another writer was in the way; nothing was written, try again.
            BusyError: another writer held the database for too long.
            UnreachableError: the server is away; a ``LostCommitError`` if it went away in the middle.
            StorageError: the database could not be read or written.
        """
        isolation = "READ COMMITTED" if row_locks else "SERIALIZABLE"
        options = {"isolation_level": isolation} if self._postgres else {"liucun_write": True}
        with (
            translated(),
            self._connect() as connection,
            connection.execution_options(**options).begin(),
            events.collected(connection),
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A read transaction on one consistent snapshot.

        Raises:
            UnreachableError: the server is away.
            StorageError: the database could not be read.
        """
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if self._postgres else {}
        with translated(), self._connect() as connection, connection.execution_options(**options).begin():
            yield connection

    def close(self) -> None:
        """Give back every connection."""
        self._closing.set()
        self.engine.dispose()

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        """A connection; a server that was there before and restarts is waited for: nothing has begun yet."""
        with self._reach() as connection:
            yield connection

    def _reach(self) -> sa.Connection:
        until = time.monotonic() + RECONNECT_SECONDS
        pause = 0.05
        while True:
            try:
                with translated():
                    connection = self.engine.connect()
            except UnreachableError:
                if not self._reached or time.monotonic() + pause > until or self._closing.wait(pause):
                    raise
                pause = min(pause * 2, 1.0)
            else:
                self._reached = True
                return connection


def serialise(connection: sa.Connection, name: str) -> None:
    """Let one transaction at a time go on from here, among those that name the same thing; until it ends.

    SQLite's write transactions are alone anyway. On PostgreSQL use it in ``write(row_locks=True)``: a SERIALIZABLE
    transaction would still see the database as it was before it waited.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(zlib.crc32(b"liucun\x00" + name.encode()))))


def checked_url(url: str) -> sa.URL:
    """A database URL that Liucun works with. The message of an error never shows a password.

    Raises:
        SettingsError: it is malformed, or of another database.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise SettingsError(
            "The catalogue's URL cannot be read.",
            cure="Write it as postgresql+psycopg://user@host:5432/database; signs like @ in a password as %40.",
        ) from error
    if parsed.get_backend_name() == "sqlite":
        return parsed
    if parsed.drivername in ("postgresql", "postgres", _POSTGRES_DRIVER):
        return parsed.set(drivername=_POSTGRES_DRIVER)
    raise SettingsError(
        f"The catalogue cannot lie in {parsed.drivername!r}.",
        cure="Use a file name (SQLite) or postgresql+psycopg://user@host:5432/database.",
    )


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    # The driver takes a while to load: only who uses it waits for it.
    from retention.catalogue.postgres_text import keep_nul

    wait = int(BUSY_SECONDS * 1000)
    defaults = {
        "connect_timeout": str(CONNECT_SECONDS),
        "application_name": "liucun",
        # A network that swallows packets is noticed in about a minute instead of two hours.
        "keepalives_idle": "20",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "60000",
    }
    arguments: dict[str, str] = {name: value for name, value in defaults.items() if name not in url.query}
    # A commit is answered after it is on the disk, whatever the server's default; the URL's own options win.
    options = (f"lock_timeout={wait}", f"idle_in_transaction_session_timeout={4 * wait}", "synchronous_commit=on")
    given = str(url.query.get("options", ""))
    arguments["options"] = " ".join([*(f"-c {option}" for option in options), given]).strip()
    # Nothing is prepared: from its tenth use on a prepared statement may be planned without its values, and then each
    # row is compared with each of a thousand texts (``sets.among``), seconds instead of milliseconds.
    engine = sa.create_engine(url, pool_pre_ping=True, connect_args={**arguments, "prepare_threshold": None})
    event.listen(engine, "connect", keep_nul)
    return engine


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
