"""A run on the real Kafka and Flink, disturbed on purpose, and the proof that its archive is exact.

Anyone can run it: ``python -m tests.services.flink_trial --records 1000000 --kill taskmanager=3 --kill workers=2
--kill main=1 --kill kafka=1``. It prints what was killed when, how long the job took to commit again, and whether
archive, tickets and input agree record for record.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipelines.runners.cluster import Cluster as FlinkCluster
from tests.services import servers

ILLEGAL_EVERY = 100


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
    fields = {"content_id": f"c{number}", "user_id": f"u{number % 5000}", "text": text, "number": number}
    return json.dumps(fields | {"event_time": f"2026-11-{1 + number % 20:02d}T08:00:00Z"}, ensure_ascii=False).encode()


def produce(kafka: str, topic: str, numbers: range, *, partitions: int, rate: float | None = None) -> None:
    """Write records, evenly over the partitions, at about ``rate`` a second."""
    from confluent_kafka import Producer

    producer = Producer(
        {"bootstrap.servers": kafka, "enable.idempotence": True, "linger.ms": 20, "batch.size": 1 << 20}
    )
    began = time.monotonic()
    for count, number in enumerate(numbers):
        while True:
            try:
                producer.produce(topic, record(number), partition=number % partitions)
                break
            except BufferError:
                producer.poll(0.05)
        if rate and count % 500 == 0:
            time.sleep(max(0.0, count / rate - (time.monotonic() - began)))
    assert producer.flush(120) == 0


@dataclass
class Trial:
    """A store under test and the run that fills it."""

    cluster: Cluster
    store: Path
    topic: str
    parallelism: int = 2
    catalogue: str = ""
    passphrase: str = ""
    log: list[str] = field(default_factory=list)
    _last: int = 0
    process: subprocess.Popen[str] | None = None

    @property
    def env(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if name != "LIUCUN_PASSPHRASE"}
        if self.catalogue:
            env["PGPASSFILE"] = str(servers.folder() / "postgres" / "pgpass")
        if self.passphrase:
            return env | {"LIUCUN_PASSPHRASE": self.passphrase}
        return env | {"LIUCUN_PASSPHRASE_FILE": self.cluster.passphrase_file}

    def call(self, *words: str) -> Any:
        """Run a command with ``--json`` and return its answer."""
        command = [sys.executable, "-m", "liucun", *words, "--store", str(self.store), "--json"]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
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
        if self.catalogue:
            given = self.store.parent / "given.toml"
            place = sa.make_url(self.catalogue)._replace(password=None).render_as_string()
            given.write_text(f'format = 1\n[archive]\ncatalogue = "{place}"\n', encoding="utf-8")
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
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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
            if not self.catalogue:
                raise
        return self._last

    def _committed(self) -> int:
        url = self.catalogue or f"sqlite:///{self.store / 'catalogue.db'}"
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT coalesce(sum(records), 0) FROM batches").scalar_one()
        engine.dispose()
        return int(found)

    def wait(self, records: int, seconds: float = 300) -> None:
        """Wait until so many records are committed."""
        assert self.process is not None
        until = time.monotonic() + seconds
        while (now := self.committed()) < records:
            assert self.process.poll() is None, f"the run ended: {self.process.communicate()}"
            assert time.monotonic() < until, f"{now} of {records} records after {seconds} s"
            time.sleep(0.2)

    def prove(self, numbers: range, *, tickets: bool = True) -> dict[str, Any]:
        """Compare the archive, and the tickets, with the input, record for record."""
        sql = (
            "SELECT count(*) AS rows, count(DISTINCT content_id) AS contents, "
            "sum(CAST(substr(content_id, 2) AS BIGINT))::VARCHAR AS total, "
            "count(DISTINCT (log_partition, log_offset)) AS places FROM content"
        )
        (archive,) = self.call("query", sql, "--purpose", "test")
        opened = self.call(
            "query", "SELECT count(*) AS n, count(DISTINCT content_id) AS d FROM tickets", "--purpose", "test"
        )
        coverage = self.call("audit", "coverage")
        expected = {"rows": len(numbers), "contents": len(numbers), "total": str(sum(numbers)), "places": len(numbers)}
        assert archive == expected, f"archive {archive}, input {expected}"
        illegal = sum(1 for number in numbers if number % ILLEGAL_EVERY == 0)
        if tickets:
            assert opened[0] == {"n": illegal, "d": illegal}, f"tickets {opened}, {illegal} expected"
        assert coverage["ok"], coverage
        return {"archive": archive, "tickets": opened[0]["n"], "coverage": coverage["checked"]}


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


def disturb(trial: Trial, watch: Watch, kills: dict[str, int], records: int, pause: float, seed: int) -> None:
    """Kill and start parts, restart servers, in random order; each is given time to come back before the next."""
    rng = random.Random(seed)
    plan = [part for part, count in kills.items() for _ in range(count)]
    rng.shuffle(plan)
    for part in plan:
        time.sleep(rng.uniform(0, 3))
        before, at = trial.committed(), time.monotonic()
        if part in ("kafka", "postgres"):
            servers.control(part, "restart")
        else:
            flink(part, "kill")
            time.sleep(rng.uniform(0.1, 2.0))
            flink(part, "start")
        time.sleep(pause)
        trial.wait(min(trial.committed() + 1, records))
        still = watch.standstill(at, time.monotonic())
        name = {"main": "job manager"}.get(part, part)
        print(f"{name:12} at {before:>9,} records; the longest time without a commit {still:5.1f} s", flush=True)


def main() -> None:
    """Run a trial and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--parallelism", type=int, default=2)
    parser.add_argument("--rate", type=float, default=10_000, help="records a second that are written to Kafka")
    parser.add_argument(
        "--kill",
        action="append",
        default=[],
        metavar="PART=TIMES",
        help="main (the job manager), taskmanager, workers, jobserver; kafka and postgres are restarted",
    )
    parser.add_argument("--postgres", action="store_true", help="the catalogue on the running PostgreSQL")
    parser.add_argument("--pause", type=float, default=30.0, help="seconds that a part is given to come back")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    cluster = Cluster.running()
    topic = create_topic(cluster.kafka, given.partitions)
    kills = {part: int(count) for part, _, count in (item.partition("=") for item in given.kill)}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        database = ""
        if given.postgres:
            database = stack.enter_context(servers.database(servers.need("postgres", "LIUCUN_TEST_POSTGRES")[0]))
        trial = stack.enter_context(Trial(cluster, Path(folder) / "store", topic, given.parallelism, database))
        trial.create()
        numbers = range(given.records)
        head = numbers[: len(numbers) // 100]
        produce(cluster.kafka, topic, head, partitions=given.partitions)
        began = time.monotonic()
        trial.start("--follow")
        trial.wait(len(head))
        print(f"the first {len(head):,} committed after {time.monotonic() - began:.1f} s", flush=True)
        began = time.monotonic()
        writer = threading.Thread(
            target=produce,
            args=(cluster.kafka, topic, numbers[len(head) :]),
            kwargs={"partitions": given.partitions, "rate": given.rate},
        )
        writer.start()
        with Watch(trial) as watch:
            disturb(trial, watch, kills, given.records, given.pause, given.seed)
        writer.join()
        written = time.monotonic()
        trial.wait(given.records)
        print(f"all {given.records:,} committed {time.monotonic() - written:.1f} s after the last was written")
        print(f"{given.records / (time.monotonic() - began):,.0f} records/s over {time.monotonic() - began:.1f} s")
        print(json.dumps(trial.stop(), ensure_ascii=False))
        print(json.dumps(trial.prove(numbers), ensure_ascii=False))
        print("\n".join(trial.log))


if __name__ == "__main__":
    main()
