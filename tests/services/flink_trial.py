"""A store that a run on the real Kafka and Flink fills, and the proof that it holds the input, record for record."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks import flink_watch
from pipelines.runners.cluster import Cluster as FlinkCluster
from tests.services import servers
from tests.services.two_collectors import NEEDED, Places, on_servers

ILLEGAL_EVERY = 100
USERS = 5000
ROOMS = ("errors", "detectors", "retention", "tickets", "pipelines", "console", "liucun")


@dataclass
class Cluster:
    """Addresses of the servers under test."""

    kafka: str
    flink: str
    job_server: str
    workers: str
    passphrase_file: str

    @classmethod
    def running(cls) -> Cluster:
        """The running servers, or a skipped test."""
        (kafka,) = servers.need("kafka", "LIUCUN_TEST_KAFKA")
        names = ("", "_JOB_SERVER", "_WORKERS", "_PASSPHRASE_FILE")
        return cls(kafka, *servers.need("flink", *(f"LIUCUN_TEST_FLINK{name}" for name in names)))


def flink(part: str, action: str) -> None:
    """stop, kill or start a part of the Flink cluster: main (the job manager), taskmanager, jobserver, workers."""
    command = [str(servers.SCRIPTS / "flink.sh"), part, action]
    subprocess.run(command, env=servers.script_env(), check=True, capture_output=True)


def create_topic(kafka: str, partitions: int, **config: str) -> str:
    """A new topic; returns its name."""
    from confluent_kafka.admin import AdminClient, NewTopic

    name = f"t-{secrets.token_hex(5)}"
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(30)
    return name


def record(number: int) -> bytes:
    """One content record; every hundredth breaks the law."""
    text = (
        "稳赚不赔的百家乐平台，加微信 abc12345 领彩金"
        if number % ILLEGAL_EVERY == 0
        else "质量很好，发货很快，客服态度也不错"
    )
    fields = {"content_id": f"c{number}", "user_id": f"u{number % USERS}", "text": text, "number": number}
    return json.dumps(fields | {"event_time": f"2026-11-{1 + number % 20:02d}T08:00:00Z"}, ensure_ascii=False).encode()


def produce(
    kafka: str,
    topic: str,
    numbers: range,
    *,
    partitions: int,
    rate: float | None = None,
    make: Callable[[int], bytes] = record,
) -> None:
    """Write records, evenly over the partitions, at about ``rate`` a second."""
    from confluent_kafka import Producer

    producer = Producer(
        {"bootstrap.servers": kafka, "enable.idempotence": True, "linger.ms": 20, "batch.size": 1 << 20}
    )
    began = time.monotonic()
    for count, number in enumerate(numbers):
        while True:
            try:
                producer.produce(topic, make(number), partition=number % partitions)
                break
            except BufferError:
                producer.poll(0.05)
        if rate and count % 500 == 0:
            time.sleep(max(0.0, count / rate - (time.monotonic() - began)))
    assert producer.flush(120) == 0


@dataclass
class Trial:
    """A store under test and the run that fills it, with the program in the folder ``code``."""

    cluster: Cluster
    store: Path
    topic: str
    parallelism: int = 2
    places: Places | None = None
    passphrase: str = ""
    search_password: str = ""
    code: Path = servers.PROJECT
    log: list[str] = field(default_factory=list)
    _last: int = 0
    process: subprocess.Popen[str] | None = None

    @property
    def env(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if name != "LIUCUN_PASSPHRASE"}
        env["PYTHONPATH"] = str(self.code)
        if self.places:
            env |= {**self.places.env, "PGPASSFILE": str(servers.folder() / "postgres" / "pgpass")}
        if self.search_password:
            env["LIUCUN_SEARCH_PASSWORD"] = self.search_password
        if self.passphrase:
            return env | {"LIUCUN_PASSPHRASE": self.passphrase}
        return env | {"LIUCUN_PASSPHRASE_FILE": self.cluster.passphrase_file}

    def call(self, *words: str) -> Any:
        """Run a command with ``--json`` and return its answer."""
        command = [sys.executable, "-m", "liucun", *words, "--store", str(self.store), "--json"]
        done = subprocess.run(command, env=self.env, cwd=self.code, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def create(self) -> None:
        """Make the store, with its source and its cluster; end what other tests left on the cluster."""
        cluster = FlinkCluster(self.cluster.flink)
        for job in cluster.jobs("liucun-"):
            if job.alive:
                cluster.cancel(job)
        servers.wait_until("the end of other jobs", lambda: not any(job.alive for job in cluster.jobs("liucun-")), 60)
        cluster.close()
        command = [sys.executable, "-m", "liucun", "init", "--store", str(self.store)]
        if self.places and self.places.settings:
            given = self.store.parent / "given.toml"
            # The job carries the settings, and must not carry a password: workers have a file with it.
            given.write_text(re.sub(r"(?<=liucun):\w+@", "@", self.places.settings), encoding="utf-8")
            command += ["--settings", str(given)]
        subprocess.run(command, env=self.env, check=True, capture_output=True)
        self.declare()

    def declare(self, **changes: str) -> None:
        """Append source and cluster to the settings."""
        host = self.cluster
        settings = self.store / "liucun.toml"
        text = settings.read_text(encoding="utf-8")
        text += f"""
[[source]]
name = "posts"
kind = "kafka"
record_class = "content"
format = "ndjson"
published = {{ text = true }}
[source.kafka]
brokers = ["{host.kafka}"]
topics = ["{self.topic}"]
[flink]
master = "{host.flink}"
job_server = "{host.job_server}"
workers = "{host.workers}"
parallelism = {self.parallelism}
checkpoint_seconds = 2
"""
        settings.write_text(text, encoding="utf-8")

    def start(self, *words: str) -> None:
        """Begin the run in a process of its own."""
        command = [
            sys.executable,
            "-m",
            "liucun",
            "run",
            "--runner",
            "flink",
            "--store",
            str(self.store),
            "--json",
            *words,
        ]
        self.process = subprocess.Popen(
            command, env=self.env, cwd=self.code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def finish(self, seconds: float = 300) -> dict[str, Any]:
        """Wait for the run's end, which it finds by itself unless it follows; returns its summary."""
        assert self.process is not None
        out, err = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, f"exit {self.process.returncode}\n{out}\n{err}"
        self.log += [line for line in err.splitlines() if line.startswith("liucun:")]
        return dict(json.loads(out))

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no run behind, whatever happened: it would hold its place on the cluster for good."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()

    def stop(self) -> dict[str, Any]:
        """End a following run by signal."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.finish(120)

    def committed(self) -> int:
        """Records committed so far, from the catalogue; as before while a database restarts."""
        try:
            self._last = self._committed()
        except sa.exc.OperationalError:
            if not self.places:
                raise
        return self._last

    def _committed(self) -> int:
        url = (self.places and self.places.postgres) or f"sqlite:///{self.store / 'catalogue.db'}"
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT coalesce(sum(records), 0) FROM batches").scalar_one()
        engine.dispose()
        return int(found)

    def wait(self, records: int, seconds: float = 600) -> None:
        """Wait until so many records are committed."""
        assert self.process is not None
        until = time.monotonic() + seconds
        while (now := self.committed()) < records:
            assert self.process.poll() is None, f"the run ended: {self.process.communicate()}"
            assert time.monotonic() < until, f"{now} of {records} records after {seconds} s"
            time.sleep(0.2)

    def prove(self, numbers: range, *, tickets: bool = True, integrity: bool = False) -> dict[str, Any]:
        """Compare the archive, and the tickets, with the input ``0 … n-1``, record for record.

        As many distinct numbers as rows, none outside the range: the two sets are the same.
        """
        number = "CAST(substr(content_id, 2) AS BIGINT)"
        (archive,) = self.ask(
            f"SELECT count(*) AS rows, count(DISTINCT {number}) AS contents, min({number}) AS low, "
            f"max({number}) AS high, count(DISTINCT (log_partition, log_offset)) AS places, "
            f"count(*) FILTER (WHERE user_id IS DISTINCT FROM 'u' || ({number} % {USERS}) OR "
            f"(text LIKE '%百家乐%') IS DISTINCT FROM ({number} % {ILLEGAL_EVERY} = 0)) AS altered FROM content"
        )
        (unparsed,) = self.ask("SELECT count(*) AS n FROM unparsed")
        size = len(numbers)
        expected = {"rows": size, "contents": size, "low": 0, "high": numbers[-1], "places": size, "altered": 0}
        assert archive == expected, f"archive {archive}, input {expected}"
        assert unparsed == {"n": 0}
        (opened,) = self.ask(
            f"SELECT count(*) AS n, count(DISTINCT content_id) AS d, "
            f"count(*) FILTER (WHERE {number} % {ILLEGAL_EVERY} <> 0 OR {number} > {numbers[-1]}) AS others "
            "FROM tickets"
        )
        illegal = (size + ILLEGAL_EVERY - 1) // ILLEGAL_EVERY
        if tickets:
            assert opened == {"n": illegal, "d": illegal, "others": 0}, f"tickets {opened}, {illegal} expected"
        checked = {}
        for audit in ("coverage", "integrity") if integrity else ("coverage",):
            found = self.call("audit", audit)
            assert found["ok"], found
            checked[audit] = found["checked"]
        return {"archive": archive, "tickets": opened["n"], **checked}

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        return list(self.call("query", sql, "--purpose", "test"))


@dataclass
class Watch:
    """Samples how much is committed, to tell how long nothing was."""

    trial: Trial
    samples: list[tuple[float, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._stop.wait(0.2):
            self.samples.append((time.monotonic(), self.trial.committed()))

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self.run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def standstill(self, begin: float, end: float) -> float:
        """The longest time between two commits of a span, in seconds."""
        moves = [begin]
        for (_, before), (at, now) in pairwise(self.samples):
            if begin <= at <= end and now > before:
                moves.append(at)
        return max(b - a for a, b in pairwise([*moves, end]))


def copied_program(folder: Path) -> Path:
    """A copy of the program, to be changed: another version of it, or one with a fault."""
    for room in ROOMS:
        shutil.copytree(servers.PROJECT / room, folder / room)
    return folder


@contextmanager
def worker_pool(trial: Trial) -> Iterator[None]:
    """A pool of workers of the trial's own version of the program, which the store's settings name from now on."""
    with (
        (trial.store.parent / "workers.log").open("w", encoding="utf-8") as log,
        flink_watch.worker_pool(trial.env, code=trial.code, log=log) as (address, _),
    ):
        settings = trial.store / "liucun.toml"
        text = settings.read_text(encoding="utf-8")
        assert trial.cluster.workers in text
        settings.write_text(text.replace(trial.cluster.workers, address), encoding="utf-8")
        yield


@contextmanager
def everything() -> Iterator[Places]:
    """Databases and a place on the S3 server for one trial: catalogue, period keys and segments all on servers."""
    known = servers.need("postgres", NEEDED[0]) + servers.need("s3", *NEEDED[1:])
    with servers.database(known[0]) as catalogue, servers.database(known[0]) as periods:
        yield on_servers(catalogue, periods, (known[1], known[2], known[3]), known[4])
