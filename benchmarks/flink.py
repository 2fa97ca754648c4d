"""A run on Flink against the embedded run, and parallelism 1 against 2, in one run: ``liucun bench flink``.

Each measurement: a topic of four partitions, records to warm the workers up, then a burst that becomes visible at
once. Counted are the CPU seconds of whoever works (the embedded process; workers and task manager), not those of
Kafka, PostgreSQL and the job manager. The last measurement goes on with a steady stream at half the rate that it
reached, and takes for every record that breaks the law the time from its handing over to Kafka's client to the moment
at which its ticket can be seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.flink_records import spread
from benchmarks.flink_stand import PARTITIONS, Servers, Stand, stand, writer
from benchmarks.flink_watch import Usage, Watch, task_manager_of, worker_pool
from errors import UnreachableError

WARM: Final = 40_000
MOST_CPU: Final = 1.15
"""CPU seconds a record at parallelism 2 over those at 1."""
MOST_WAITING: Final = 0.05
MOST_LATENCY: Final = 3.0
LEAST_SPEEDUP: Final = 1.7
"""Where there are four cores: records a second at parallelism 2 over those at 1."""
_SEEN_EVERY: Final = 0.1


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement. ``latency`` in seconds, one a ticket, where it was taken; ``rate`` is that of its stream."""

    name: str
    records: int
    usage: Usage
    latency: tuple[float, ...] = ()
    rate: float = 0.0

    @property
    def speed(self) -> float:
        """Records a second."""
        return self.records / self.usage.seconds

    @property
    def cpu(self) -> float:
        """CPU microseconds a record."""
        return self.usage.cpu / self.records * 1e6

    def as_json(self) -> dict[str, object]:
        """For ``--json``."""
        u = self.usage
        return {
            "records_per_second": round(self.speed),
            "seconds": round(u.seconds, 2),
            "cpu_us_per_record": round(self.cpu, 3),
            "workers_cpu_seconds": round(u.workers, 2),
            "task_manager_cpu_seconds": round(u.task_manager, 2),
            "cpu_seconds_by_worker": u.busy,
            "waiting_for_database_locks": round(u.database, 4),
            "waiting_for_the_interpreter_at_most": round(u.interpreter, 4),
        }


def measure(
    servers: Servers, records: int, seconds: float, progress: Callable[[str], None] = lambda _what: None
) -> dict[str, Any]:
    """Measure; ``records`` in each burst, ``seconds`` of the steady stream (0: no latency).

    Raises:
        UnreachableError: a server does not answer.
        UsageError: the task manager is not on this machine.
    """
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="liucun-bench-") as folder:
        progress("the embedded run")
        found["embedded"] = _embedded(servers, Path(folder) / "embedded", records)
        for parallelism in (1, 2):
            progress(f"Flink, parallelism {parallelism}")
            steady = seconds if parallelism == 2 else 0.0
            name = f"parallelism_{parallelism}"
            found[name] = _on_flink(servers, Path(folder) / name, records, parallelism, steady)
    return _figures(found, records)


def _figures(found: dict[str, Measured], records: int) -> dict[str, Any]:
    embedded, one, two = found["embedded"], found["parallelism_1"], found["parallelism_2"]
    cores = len(os.sched_getaffinity(0))
    figures: dict[str, Any] = {
        "records": records,
        "cores": cores,
        **{name: item.as_json() for name, item in found.items()},
        "cpu_1_over_embedded": round(one.cpu / embedded.cpu, 3),
        "cpu_2_over_1": round(two.cpu / one.cpu, 3),
        "speed_2_over_1": round(two.speed / one.speed, 3),
        "speed_1_over_embedded": round(one.speed / embedded.speed, 3),
        "waiting_at_2": round(two.usage.waiting, 4),
    }
    missed = []
    if figures["cpu_2_over_1"] > MOST_CPU:
        missed.append(f"cpu_2_over_1 over {MOST_CPU}")
    if figures["waiting_at_2"] > MOST_WAITING:
        missed.append(f"waiting_at_2 over {MOST_WAITING}")
    if cores >= 4 and figures["speed_2_over_1"] < LEAST_SPEEDUP:
        missed.append(f"speed_2_over_1 under {LEAST_SPEEDUP}")
    if two.latency:
        taken = np.sort(np.array(two.latency))
        figures["latency"] = {
            "records_per_second": round(two.rate),
            "tickets": len(taken),
            **{f"p{int(part * 100)}_seconds": round(float(np.quantile(taken, part)), 3) for part in (0.5, 0.9, 0.99)},
            "max_seconds": round(float(taken[-1]), 3),
        }
        if figures["latency"]["p99_seconds"] > MOST_LATENCY:
            missed.append(f"p99_seconds over {MOST_LATENCY}")
    return {**figures, "missed": missed, "ok": not missed}


def _embedded(servers: Servers, folder: Path, records: int) -> Measured:
    with stand(servers, folder) as made:
        made.create(None, 1)
        with made.run() as process:
            usage = _burst(made, process, records, Watch(process.pid, None, made.database, 1, alone=True))
    return Measured("embedded", records, usage)


def _on_flink(servers: Servers, folder: Path, records: int, parallelism: int, seconds: float) -> Measured:
    manager = task_manager_of(servers.master)
    with stand(servers, folder) as made, worker_pool(made.env) as (address, pool):
        made.create(address, parallelism)
        with made.run("--runner", "flink", "--parallelism", str(parallelism)) as process:
            watch = Watch(pool, manager, made.database, parallelism)
            usage = _burst(made, process, records, watch)
            rate = records / usage.seconds / 2
            latency = _latency(made, process, rate, seconds) if seconds else ()
    return Measured(f"parallelism_{parallelism}", records, usage, latency, rate)


def _burst(made: Stand, process: subprocess.Popen[bytes], records: int, watch: Watch) -> Usage:
    spread(made.servers.kafka, made.topic, PARTITIONS, WARM)
    made.wait(WARM, process)
    command = writer("burst", made.servers.kafka, made.topic, str(PARTITIONS), str(records))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writing:
        assert writing.stdin is not None
        assert writing.stdout is not None
        if writing.stdout.readline().strip() != "ready":
            raise UnreachableError("The records could not be written to Kafka.", cure="Look at the broker's log.")
        with watch:
            writing.stdin.write("\n")
            writing.stdin.flush()
            made.wait(WARM + records, process)
            return watch.end()


def _latency(made: Stand, process: subprocess.Popen[bytes], rate: float, seconds: float) -> tuple[float, ...]:
    """Seconds from a record's handing over to Kafka to its ticket, for every record that breaks the law."""
    known: set[str] = set()
    made.tickets(known)
    command = writer("steady", made.servers.kafka, made.topic, str(PARTITIONS), str(rate), str(seconds))
    taken: list[float] = []
    before, expected = made.committed(), -1
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writing:
        assert writing.stdout is not None
        until = time.monotonic() + seconds + 60
        while time.monotonic() < until and process.poll() is None:
            fresh = made.tickets(known)
            now = time.time_ns()
            taken += [(now - int(name)) / 1e9 for name in fresh if name.isdigit()]
            if expected < 0 and writing.poll() is not None:
                if writing.returncode:
                    raise UnreachableError("The stream could not be written.", cure="Look at the broker's log.")
                expected = int(json.loads(writing.stdout.read())["illegal"])
            if len(taken) == expected:
                break
            time.sleep(_SEEN_EVERY)
    if len(taken) != expected:
        raise UnreachableError(
            f"{len(taken)} of {expected} tickets were opened; {made.committed() - before} records committed.",
            cure="Look at the run's log.",
        )
    return tuple(taken)
