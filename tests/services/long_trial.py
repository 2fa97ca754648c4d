"""The deployed job with everything that can fail failing, and the proof that nothing was lost or doubled.

    python -m tests.services.long_trial                       # two million records, twenty-one disturbances
    python -m tests.services.long_trial --records 200000 --disturb taskmanager=1 --disturb s3=1

Kafka → Flink → PostgreSQL and S3, and a worker that follows into Elasticsearch, all real. While records are written,
one part after another is killed, restarted or taken away for a while, in an order drawn by ``--seed``; nobody helps the
job. At the end archive, index, tickets and input must agree record for record. Prints what was disturbed when, and how
long nothing was committed.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.services import servers
from tests.services.flink_trial import Cluster, Trial, Watch, create_topic, everything, flink, produce
from tests.services.indexed import Indexed, Server

FULL: Final = {"taskmanager": 10, "workers": 5, "main": 1, "postgres": 2, "elasticsearch": 1, "s3": 1, "kafka": 1}
"""How often each part is disturbed; ``main`` is the job manager."""
AWAY_SECONDS: Final = {"s3": 60.0, "elasticsearch": 120.0}
"""Servers that are stopped for so long; others are killed, or restarted."""
BACK_SECONDS: Final = 600.0
"""How long the job may take to commit again before the trial is lost."""
CAUGHT_UP_SECONDS: Final = 3600.0
"""How long the index may take, after the last record is committed, until it holds all."""


def disturb(part: str, rng: random.Random, away: Mapping[str, float] = AWAY_SECONDS) -> None:
    """Kill and start, restart, or stop and start one part."""
    if part in away:
        servers.control(part, "stop")
        time.sleep(away[part])
        servers.control(part, "start")
    elif part in ("kafka", "postgres"):
        servers.control(part, "restart")
    else:
        flink(part, "kill")
        time.sleep(rng.uniform(0.1, 2.0))
        flink(part, "start")


def run(
    trial: Trial,
    numbers: range,
    parts: Mapping[str, int],
    *,
    partitions: int,
    rate: float,
    seed: int = 1,
    away: Mapping[str, float] = AWAY_SECONDS,
) -> list[str]:
    """Write the records while parts are disturbed; returns a line for each. All are committed when this returns.

    Each disturbance has its share of the records, so that there is always something to lose, and the next one comes
    only when the job has committed again.
    """
    rng = random.Random(seed)
    plan = [part for part, count in parts.items() for _ in range(count)]
    rng.shuffle(plan)
    share = -(-len(numbers) // max(len(plan), 1))
    lines = []
    with Watch(trial) as watch:
        for step, part in enumerate(plan):
            chunk = numbers[step * share : (step + 1) * share]
            writer = threading.Thread(
                target=produce,
                args=(trial.cluster.kafka, trial.topic, chunk),
                kwargs={"partitions": partitions, "rate": rate},
            )
            writer.start()
            # What is disturbed is a job at work: one that cannot begin says so and ends.
            trial.wait(1, BACK_SECONDS)
            time.sleep(rng.uniform(0, 5))
            before, at = trial.committed(), time.monotonic()
            disturb(part, rng, away)
            writer.join()
            trial.wait(max(before + 1, chunk[-1] + 1 - share // 2), BACK_SECONDS)
            still = watch.standstill(at, time.monotonic())
            name = {"main": "job manager", "workers": "worker pool", "taskmanager": "task manager"}.get(part, part)
            lines.append(f"{name:14} at {before:>9,} records; the longest time without a commit {still:5.1f} s")
            print(lines[-1], flush=True)
        trial.wait(len(numbers), BACK_SECONDS)
    return lines


@contextmanager
def followed(trial: Trial, server: Server) -> Iterator[Indexed]:
    """A worker that follows the trial's archive into indices of its own, which are gone afterwards."""
    made = Indexed(trial.store.parent, server, f"t{secrets.token_hex(6)}", trial.env)
    settings = trial.store / "liucun.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + made.section(), encoding="utf-8")
    try:
        with made.worker():
            yield made
    finally:
        made.clean()


def agreed(trial: Trial, made: Indexed, records: int) -> dict[str, Any]:
    """Wait until the index has caught up; compare it with the archive, document by document."""
    until = time.monotonic() + CAUGHT_UP_SECONDS
    while (found := made.total()) < records:
        if time.monotonic() > until:
            raise TimeoutError(f"{found} of {records} documents after {CAUGHT_UP_SECONDS:.0f} s")
        time.sleep(2)
    report = trial.call("audit", "index")
    assert report["ok"], report["findings"]
    checked = dict(report["checked"])
    assert (checked["documents"], checked["compared_documents"]) == (records, records), checked
    return checked


def _parts(given: list[str]) -> dict[str, int]:
    return {part: int(count) for part, _, count in (item.partition("=") for item in given)} or FULL


def main() -> None:
    """Run the trial and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--parallelism", type=int, default=2)
    parser.add_argument("--rate", type=float, default=10_000, help="records a second that are written to Kafka")
    parser.add_argument(
        "--disturb",
        action="append",
        default=[],
        metavar="PART=TIMES",
        help=f"instead of {' '.join(f'{part}={times}' for part, times in FULL.items())}",
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    cluster = Cluster.running()
    server = Server.running()
    topic = create_topic(cluster.kafka, given.partitions)
    numbers = range(given.records)
    with (
        tempfile.TemporaryDirectory(prefix="liucun-trial-") as folder,
        everything() as places,
        Trial(cluster, Path(folder) / "store", topic, given.parallelism, places) as trial,
    ):
        trial.search_password = server.password
        trial.create()
        began = time.monotonic()
        with followed(trial, server) as made:
            trial.start("--follow")
            run(
                trial,
                numbers,
                _parts(given.disturb),
                partitions=given.partitions,
                rate=given.rate,
                seed=given.seed,
            )
            print(f"all {given.records:,} records committed after {time.monotonic() - began:,.0f} s", flush=True)
            print("run:", json.dumps(trial.stop(), ensure_ascii=False), flush=True)
            print("index:", json.dumps(agreed(trial, made, given.records), ensure_ascii=False))
            print(f"and indexed after {time.monotonic() - began:,.0f} s", flush=True)
        print("agree:", json.dumps(trial.prove(numbers, integrity=True), ensure_ascii=False))
        print("\n".join(trial.log))


if __name__ == "__main__":
    main()
