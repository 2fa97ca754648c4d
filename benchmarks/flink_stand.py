"""What a benchmark on Flink stands on: a topic, a store with its catalogue on PostgreSQL, and a run that fills it.

All of it is the benchmark's own and gone afterwards; the servers are somebody's who runs them (`make services`).
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # as its manual has it

from errors import UnreachableError

PARTITIONS: Final = 4
COMMIT_SECONDS: Final = 600.0
"""How long records may take to be committed before the measurement is given up."""
_EVERY: Final = 0.05
_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses ``HOST:PORT``, and the URL of a PostgreSQL account that may create databases."""

    kafka: str
    master: str
    job_server: str
    postgres: str


class Stand:
    """A store, its source, and the run that fills it."""

    def __init__(self, servers: Servers, folder: Path, database: str, topic: str, secret: str) -> None:
        self.servers, self.topic, self.database = servers, topic, database
        self.store = folder / "store"
        self.env = {
            # Of the caller's, not the token: it is of another store.
            **{name: value for name, value in os.environ.items() if name != "LIUCUN_TOKEN"},
            "LIUCUN_PASSPHRASE": secret,
            "PGPASSFILE": str(folder / "pgpass"),
            "OMP_NUM_THREADS": "1",
            "NUMBA_NUM_THREADS": "1",
        }
        self._engine = sa.create_engine(database, poolclass=sa.pool.StaticPool)

    def create(self, workers: str | None, parallelism: int) -> None:
        """Make the store with its source; ``workers`` is the pool's address, None where there is none."""
        url = sa.make_url(self.database)
        # The job carries the settings, which must hold no password; `set` would leave it in.
        bare = url._replace(password=None).render_as_string(hide_password=False)
        flink = f'master = "{self.servers.master}"\njob_server = "{self.servers.job_server}"\n' if workers else ""
        given = self.store.parent / "given.toml"
        given.write_text(
            f"""format = 1
[archive]
catalogue = "{bare}"
[[source]]
name = "bench"
kind = "kafka"
record_class = "content"
format = "ndjson"
published = {{ text = true }}
[source.kafka]
brokers = ["{self.servers.kafka}"]
topics = ["{self.topic}"]
[flink]
{flink}parallelism = {parallelism}
"""
            + (f'workers = "{workers}"\n' if workers else ""),
            encoding="utf-8",
        )
        passwords = self.store.parent / "pgpass"
        asked = (str(part or "*") for part in (url.host, url.port, None, url.username, url.password))
        # libpq's file: a colon or backslash in a field is escaped.
        line = ":".join(part.replace("\\", r"\\").replace(":", r"\:") for part in asked)
        passwords.write_text(f"{line}\n", encoding="utf-8")
        passwords.chmod(0o600)
        self._call("init", "--settings", str(given))

    @contextmanager
    def run(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """``liucun run --follow`` beside the measurement."""
        command = [sys.executable, "-m", "liucun", "run", "--follow", "--store", str(self.store), *words]
        with (self.store.parent / "run.log").open("wb") as log:
            process = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=120)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def committed(self) -> int:
        """Records committed so far."""
        with self._engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT coalesce(sum(records), 0) FROM batches").scalar_one()
        return int(found)

    def wait(self, records: int, process: subprocess.Popen[bytes]) -> None:
        """Wait until so many records are committed.

        Raises:
            UnreachableError: the run ended, or did not come so far.
        """
        until = time.monotonic() + COMMIT_SECONDS
        while (now := self.committed()) < records:
            if process.poll() is not None or time.monotonic() > until:
                said = (self.store.parent / "run.log").read_text(encoding="utf-8", errors="replace")[-800:]
                raise UnreachableError(
                    f"The run came to {now} of {records} records: {said}", cure="Look at the servers' logs."
                )
            time.sleep(_EVERY)

    def tickets(self, known: set[str]) -> list[str]:
        """Contents that have a ticket and are not known yet; they are known then."""
        with self._engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT content_id FROM tickets").scalars().all()
        fresh = [str(row) for row in rows if row not in known]
        known.update(fresh)
        return fresh

    def close(self) -> None:
        """Give back the connection."""
        self._engine.dispose()

    def _call(self, *words: str) -> None:
        command = [sys.executable, "-m", "liucun", *words, "--store", str(self.store)]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnreachableError(f"`liucun {words[0]}` ended with {done.stderr[-800:]}", cure="See its words.")


@contextmanager
def stand(servers: Servers, folder: Path) -> Iterator[Stand]:
    """A database and a topic of one measurement, gone afterwards."""
    name = f"liucun_bench_{secrets.token_hex(5)}"
    folder.mkdir()
    with database(servers.postgres, name) as url, _topic(servers.kafka, name.replace("_", "-")) as topic:
        made = Stand(servers, folder, url, topic, secrets.token_urlsafe(16))
        try:
            yield made
        finally:
            made.close()


@contextmanager
def database(admin: str, name: str) -> Iterator[str]:
    """An empty database, gone afterwards with whoever still uses it; gives its URL."""
    _administer(admin, f'CREATE DATABASE "{name}"')
    try:
        yield sa.make_url(admin).set(database=name).render_as_string(hide_password=False)
    finally:
        _administer(admin, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _administer(admin: str, statement: str) -> None:
    engine = sa.create_engine(admin, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
    except sa.exc.OperationalError as error:
        raise UnreachableError(f"PostgreSQL does not answer: {error.orig}.", cure="Check --postgres.") from error
    finally:
        engine.dispose()


@contextmanager
def _topic(kafka: str, name: str) -> Iterator[str]:
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    try:
        admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(_SECONDS)
    except (KafkaException, TimeoutError) as error:
        raise UnreachableError(f"Kafka at {kafka} does not answer: {error}.", cure="Check --kafka.") from error
    try:
        yield name
    finally:
        admin.delete_topics([name])[name].result(_SECONDS)


def writer(*words: str) -> Sequence[str]:
    """The command of a process that writes records."""
    return [sys.executable, "-m", "benchmarks.flink_records", *words]
