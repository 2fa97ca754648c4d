"""What a job on this machine's Flink uses up: CPU of workers and task manager, and time spent waiting for locks.

Linux only: it reads ``/proc``. Kafka, PostgreSQL and the job manager are not counted; they are other machines' in use.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import httpx
import sqlalchemy as sa

from errors import UnreachableError, UsageError

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_EVERY_SECONDS: Final = 0.05
_START_SECONDS: Final = 120.0
_NATIVE: Final = ("rdk:", "jemalloc", "arrow-", "Arrow")
"""Threads of libraries that never hold Python's lock while they work."""


@dataclass(frozen=True, slots=True)
class Threads:
    """CPU seconds of one process: ``total``, threads that have ended included, and by living thread."""

    names: Mapping[int, str]
    seconds: Mapping[int, float]
    total: float


def threads_of(pid: int) -> Threads:
    """CPU seconds of a process's threads; empty when it has gone."""
    names: dict[int, str] = {}
    seconds: dict[int, float] = {}
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            used = _used(task / "stat")
            names[int(task.name)] = (task / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except (OSError, IndexError):
            continue
        seconds[int(task.name)] = used
    try:
        total = _used(Path(f"/proc/{pid}/stat"))
    except (OSError, IndexError):
        total = 0.0
    return Threads(names, seconds, total)


def _used(stat: Path) -> float:
    """CPU seconds of a ``stat`` file of ``/proc`` (proc(5): utime and stime)."""
    fields = stat.read_text(encoding="utf-8", errors="replace").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def children(pid: int) -> list[int]:
    """Processes that a process has started and that live."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text(encoding="utf-8").split()]
        except OSError:
            continue
    return found


def listener(port: int) -> int:
    """The process of this machine that listens on a port.

    Raises:
        UsageError: none does.
    """
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            continue
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(handle.readlink()) in inodes for handle in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            continue
    raise UsageError(
        f"No process of this machine listens on port {port}: the task manager is elsewhere.",
        cure="Measure on the machine that the cluster runs on; `make services` starts one here.",
    )


def task_manager_of(master: str) -> int:
    """The process of the only task manager of a cluster, which runs on this machine.

    Raises:
        UnreachableError: the job manager does not answer.
        UsageError: there is another number of task managers, or it runs elsewhere.
    """
    try:
        found = httpx.get(f"http://{master}/taskmanagers", timeout=10, trust_env=False).json()["taskmanagers"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise UnreachableError(
            f"Flink's job manager at {master} does not answer: {error}.", cure="Check --flink-master."
        ) from error
    if len(found) != 1:
        raise UsageError(
            f"The cluster has {len(found)} task managers, the measurement is of one.",
            cure="Measure on a cluster of one, with two slots at least: `make services` starts one.",
        )
    return listener(int(found[0]["dataPort"]))


@contextmanager
def worker_pool(
    env: Mapping[str, str], *, code: Path | None = None, log: IO[str] | int = subprocess.DEVNULL
) -> Iterator[tuple[str, int]]:
    """A pool of workers of its own, with this environment, run in the folder ``code``: its address and process id.

    Raises:
        UnreachableError: it did not start.
    """
    port = _free_port()
    pool = subprocess.Popen(
        [sys.executable, "-m", "pipelines.runners.worker_pool", "--port", str(port)],
        env={**os.environ, **env},
        cwd=code,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    try:
        until = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if pool.poll() is not None or time.monotonic() > until:
                raise UnreachableError("The pool of workers did not start.", cure="Try again on a quieter machine.")
            time.sleep(0.1)
        yield f"127.0.0.1:{port}", pool.pid
    finally:
        pool.terminate()
        pool.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(slots=True)
class Usage:
    """What a span of time took: seconds of wall time, CPU seconds, and parts of a lane's time that it waited.

    ``database`` is how often a sample found a lane's transaction waiting for another's lock; ``interpreter`` is the
    most that lanes can have waited for Python's own lock: the CPU time of the other Python threads beside each.
    """

    seconds: float
    workers: float
    task_manager: float
    database: float
    interpreter: float
    busy: list[float] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """CPU seconds of workers and task manager."""
        return self.workers + self.task_manager

    @property
    def waiting(self) -> float:
        """Both kinds of waiting together, as a part of the lanes' time."""
        return self.database + self.interpreter


class Watch:
    """Measures from ``begin`` to ``end``: the pool's workers, the task manager, PostgreSQL's sessions.

    Args:
        pool: the process whose children work; with ``alone`` it works itself.
        lanes: how many transactions there can be at a time.
    """

    def __init__(self, pool: int, task_manager: int | None, url: str, lanes: int, *, alone: bool = False) -> None:
        self._pool = pool
        self._alone = alone
        self._task_manager = task_manager
        self._lanes = lanes
        self._engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        self._stop = threading.Event()
        self._samples = self._waits = 0

    def __enter__(self) -> Watch:
        """Start of the span; every worker must have started."""
        self._workers = {pid: threads_of(pid) for pid in self._working()}
        self._manager = self._managed()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._engine.dispose()

    def end(self) -> Usage:
        """End of the span.

        Raises:
            UnreachableError: something was not measured: a worker ended, or PostgreSQL gave no samples.
        """
        seconds = time.monotonic() - self._began
        manager = self._managed() - self._manager
        workers, others, busy = 0.0, 0.0, []
        for pid, before in self._workers.items():
            now = threads_of(pid)
            if now.total < before.total:
                raise UnreachableError("A worker ended in the middle.", cure="Look at the run's log, measure again.")
            used = {t: s - before.seconds.get(t, 0.0) for t, s in now.seconds.items()}
            workers += now.total - before.total
            busy.append(round(now.total - before.total, 2))
            python = sorted(s for t, s in used.items() if not now.names[t].startswith(_NATIVE))
            others += sum(python[:-1])
        if not self._samples or not self._workers:
            raise UnreachableError(
                "PostgreSQL's sessions or the workers could not be watched.", cure="Try again on a quieter machine."
            )
        lanes = max(self._lanes, 1)
        return Usage(
            seconds,
            workers,
            manager,
            self._waits / (self._samples * lanes),
            others / (seconds * lanes),
            sorted(busy, reverse=True),
        )

    def _working(self) -> list[int]:
        return [self._pool] if self._alone else children(self._pool)

    def _managed(self) -> float:
        return 0.0 if self._task_manager is None else threads_of(self._task_manager).total

    def _sample(self) -> None:
        asked = sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'liucun' "
            "AND state = 'active' AND wait_event_type IN ('Lock', 'LWLock', 'BufferPin')"
        )
        with self._engine.connect() as connection:
            while not self._stop.wait(_EVERY_SECONDS):
                self._waits += int(connection.execute(asked).scalar_one())
                self._samples += 1
                connection.rollback()
