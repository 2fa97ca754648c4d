"""Runs one query: checked, recorded, answered within its limits, recorded again, and only then handed out."""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import duckdb
import pyarrow as pa

from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.crypto.bodies import BodyCipher
from retention.persons.restriction import restricted_accounts
from retention.query.errors import (
    QueryInterruptedError,
    QueryInvalidError,
    QueryRefusedError,
    QueryTimeoutError,
    QueryTooLargeError,
    bare,
)
from retention.query.sandbox import checked, lock, sandbox, translated
from retention.query.sealed import Reading
from retention.query.views import register_views
from retention.segments import Archive
from retention.transparency.receipts import ANSWERED, SALT_BYTES, STARTED, commitment

MAX_PURPOSE: Final = 1000
"""Longest accepted purpose, in characters."""
_POLL_SECONDS: Final = 0.05
FAILED_SECONDS: Final = 3.0
"""How long a query may still run after a segment could not be read. Arrow's read-ahead now and then never tells DuckDB
that a file failed; the answer is known to be an error by then, so it is not waited for."""


class Parts(Protocol):
    """What a query needs of an open store."""

    @property
    def catalogue(self) -> Catalogue:
        """Segments, events, tickets."""
        ...

    @property
    def archive(self) -> Archive:
        """Sealed segments and their keys."""
        ...

    @property
    def bodies(self) -> BodyCipher:
        """Seals the words of the query in its record."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may take: bytes of DuckDB's memory, bytes of its result in Arrow, seconds, threads."""

    memory_bytes: int = 1 << 30
    result_bytes: int = 512 << 20
    seconds: float | None = None
    threads: int | None = None
    time_zone: str = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A result as it will be handed out."""

    data: bytes
    format: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded answer. ``digest`` is the archive's hash over ``data``, in hex.

    ``blocks_read``: blocks of rows read of the segments that were looked up by their postings; None: none was.
    """

    query_id: str
    data: bytes
    rows: int
    columns: tuple[str, ...]
    segments_read: int
    seconds: float
    digest: str
    blocks_read: int | None = None


@dataclass(slots=True)
class _Outcome:
    schema: pa.Schema | None = None
    batches: list[pa.RecordBatch] = field(default_factory=list)
    error: BaseException | None = None
    held: int = 0
    abandoned: bool = False

    def take(self, batch: pa.RecordBatch, limit: int) -> None:
        """Keep a part of the result."""
        self.held += batch.nbytes
        if self.held > limit:
            raise QueryTooLargeError(
                f"The result is larger than {limit >> 20} MiB.",
                cure="Narrow it, add LIMIT, or ask for it in parts.",
            )
        self.batches.append(batch)


def run_query(
    parts: Parts,
    sql: str,
    *,
    purpose: str,
    actor: str,
    render: Callable[[pa.Table], Rendered],
    limits: Limits | None = None,
    basis: str | None = None,
) -> Answer:
    """Answer one reading statement.

    The words and the purpose are recorded, sealed, before anything is decrypted (``query.started``); rows, digest and
    outcome before the answer is returned (``query.answered`` or ``query.failed``).

    Args:
        basis: the legal ground on which records of restricted accounts may be seen; without one they are left out.
        render: turns the result (column names made unique) into the bytes to hand out.

    Raises:
        QueryRefusedError, QueryInvalidError: the query's fault; nothing was decrypted for the first.
        QueryTooLargeError, QueryTimeoutError, QueryInterruptedError: it met a limit or was stopped.
        LiucunError: the archive's own error while reading (a damaged segment, a destroyed key).
    """
    limits = limits or Limits()
    _check_purpose(purpose)
    if basis is not None and not basis.strip():
        raise QueryRefusedError(
            "Restricted records are not shown without a legal ground.",
            cure='Name it: --restricted --basis "个人信息保护法 第四十五条".',
        )
    query_id = secrets.token_hex(16)
    started = time.monotonic()
    salt = secrets.token_bytes(SALT_BYTES)
    given = _words(sql, purpose, basis)
    words = {
        "sealed": seal_words(parts.bodies, query_id, sql, purpose, basis, salt=salt),
        "words": commitment(parts.archive.suite.hash, salt, given),
        "restricted": basis is not None,
    }
    _record(parts, STARTED, actor, query_id, words)
    hidden = restricted_accounts(parts) if basis is None else None
    reading = Reading(parts.archive, parts.catalogue, restricted=hidden)
    try:
        table = _unique(_execute(reading, sql, limits))
        rendered = _rendered(render, table)
    except BaseException as error:
        body = {"error": type(error).__name__, "segments": len(reading.opened)}
        _record(parts, "query.failed", actor, query_id, body)
        raise
    answer = Answer(
        query_id=query_id,
        data=rendered.data,
        rows=table.num_rows,
        columns=tuple(table.column_names),
        segments_read=len(reading.opened),
        seconds=time.monotonic() - started,
        digest=parts.archive.suite.hash(rendered.data).hex(),
        blocks_read=sum(reading.blocks.values()) if reading.blocks else None,
    )
    body = {
        "rows": answer.rows,
        "segments": answer.segments_read,
        "milliseconds": round(answer.seconds * 1000),
        "format": rendered.format,
        "bytes": len(answer.data),
        "digest": answer.digest,
        "archive": reading.state,
    }
    _record(parts, ANSWERED, actor, query_id, body)
    return answer


def _rendered(render: Callable[[pa.Table], Rendered], table: pa.Table) -> Rendered:
    """The result in its format. DuckDB has values that no format has: the year 20000, infinity, intervals."""
    try:
        return render(table)
    except (OverflowError, ValueError, TypeError, pa.ArrowException) as error:
        raise QueryInvalidError(
            f"The answer holds a value that cannot be written: {str(error)[:200]}.",
            cure="Cast the column to VARCHAR, or leave it out.",
        ) from error


def seal_words(
    bodies: BodyCipher, query_id: str, sql: str, purpose: str, basis: str | None = None, *, salt: bytes = b""
) -> str:
    """The query's words, which may name persons, sealed for its record (base64).

    ``salt``: that of the commitment to them, which receipts show.
    """
    given = {**_words(sql, purpose, basis), **({"salt": salt.hex()} if salt else {})}
    words = json.dumps(given, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return base64.b64encode(bodies.seal(words, _context(query_id))).decode("ascii")


def open_words(bodies: BodyCipher, query_id: str, sealed: str) -> dict[str, str]:
    """``sql`` and ``purpose`` of a record, and ``basis`` where restricted records were asked for.

    Raises:
        IntegrityError: the record was changed.
    """
    return open_salted(bodies, query_id, sealed)[0]


def open_salted(bodies: BodyCipher, query_id: str, sealed: str) -> tuple[dict[str, str], bytes]:
    """The words (``open_words``), and the salt of the commitment to them; empty of queries from before there was one.

    Raises:
        IntegrityError: the record was changed.
    """
    found: dict[str, str] = json.loads(bodies.open(base64.b64decode(sealed), _context(query_id)))
    salt = bytes.fromhex(found.pop("salt", ""))
    return found, salt


def _words(sql: str, purpose: str, basis: str | None) -> dict[str, str]:
    return {"sql": sql, "purpose": purpose, **({} if basis is None else {"basis": basis})}


def _context(query_id: str) -> bytes:
    return f"query:{query_id}".encode()


def _check_purpose(purpose: str) -> None:
    said = any(sign.isalnum() for sign in purpose)
    if not said or len(purpose) > MAX_PURPOSE:
        raise QueryRefusedError(
            "A query needs a purpose." if not said else f"The purpose is over {MAX_PURPOSE} characters long.",
            cure='Say in a few words what the answer is for: --purpose "weekly check".',
        )


def _record(parts: Parts, kind: str, actor: str, query_id: str, body: dict[str, object]) -> None:
    with parts.catalogue.write() as connection:
        events.append(connection, kind=kind, actor=actor, subject=f"query:{query_id}", body=body)


def _execute(reading: Reading, sql: str, limits: Limits) -> pa.Table:
    connection = sandbox(memory_bytes=limits.memory_bytes, threads=limits.threads, time_zone=limits.time_zone)
    outcome = _Outcome()
    try:
        checked(connection, sql)
        reading.take_snapshot()
        register_views(connection, reading)
        lock(connection)
        with _running(connection, sql, limits, outcome) as worker:
            _wait(connection, worker, limits, reading, outcome)
        if reading.failure is not None:
            raise reading.failure
        if isinstance(outcome.error, duckdb.Error):
            raise translated(outcome.error) from outcome.error
        if outcome.error is not None:
            raise outcome.error
        assert outcome.schema is not None
        return pa.Table.from_batches(outcome.batches, outcome.schema)
    finally:
        reading.stop()
        if not outcome.abandoned and _closed(connection):
            if reading.alive:  # what DuckDB and Arrow hold in circles keeps segments' files open
                gc.collect()
            reading.drain()


def _closed(connection: duckdb.DuckDBPyConnection) -> bool:
    """Close it. DuckDB refuses that while a call that was stopped winds down: it is waited for, then left to itself."""
    patience = time.monotonic() + FAILED_SECONDS
    while True:
        try:
            connection.close()
        except duckdb.Error:
            if time.monotonic() > patience:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


@contextlib.contextmanager
def _running(
    connection: duckdb.DuckDBPyConnection, sql: str, limits: Limits, outcome: _Outcome
) -> Iterator[threading.Thread]:
    """The query on a thread of its own, so that this one can stop it; it is over when the block ends."""

    def work() -> None:
        try:
            reader = connection.sql(sql).to_arrow_reader()
            outcome.schema = reader.schema
            for batch in reader:
                outcome.take(batch, limits.result_bytes)
        except BaseException as error:  # noqa: BLE001  # handed to the waiting thread, which raises it
            outcome.error = bare(error)

    worker = threading.Thread(target=work, name="query", daemon=True)
    worker.start()
    try:
        yield worker
    finally:
        patience = time.monotonic() + FAILED_SECONDS
        while worker.is_alive() and not outcome.abandoned:
            worker.join(_POLL_SECONDS)
            # Only a query that was stopped or failed is still running here: it is not waited for without end.
            outcome.abandoned = time.monotonic() > patience


def _wait(
    connection: duckdb.DuckDBPyConnection, worker: threading.Thread, limits: Limits, reading: Reading, outcome: _Outcome
) -> None:
    deadline = None if limits.seconds is None else time.monotonic() + limits.seconds
    failed: float | None = None
    try:
        while worker.is_alive():
            worker.join(_POLL_SECONDS)
            if reading.failure is not None:
                failed = failed or time.monotonic()
                if time.monotonic() - failed > FAILED_SECONDS and worker.is_alive():
                    connection.interrupt()
                    outcome.abandoned = True
                    return
            if deadline is not None and time.monotonic() > deadline and worker.is_alive():
                connection.interrupt()
                raise QueryTimeoutError(
                    f"The query ran longer than {limits.seconds:g} seconds and was stopped.",
                    cure="Narrow it by time or columns, or raise --max-seconds.",
                )
    except KeyboardInterrupt as error:
        connection.interrupt()
        raise QueryInterruptedError("The query was interrupted.", cure="Nothing was handed out; ask again.") from error


def _unique(table: pa.Table) -> pa.Table:
    """The table with column names that differ: JSON objects and Parquet need that."""
    seen: dict[str, int] = {}
    names = []
    for name in table.column_names:
        found = name
        while found in seen:
            seen[name] += 1
            found = f"{name}_{seen[name]}"
        seen[found] = 0
        names.append(found)
    return table.rename_columns(names)
