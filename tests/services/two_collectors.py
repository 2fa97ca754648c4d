"""Several collectors, processes of their own, on one catalogue and overlapping input: nothing twice, nothing lost.

    python -m tests.services.two_collectors --records 200000 --collectors 2 --kills 5 [--servers]

A trial makes a store (local, or with --servers on PostgreSQL and S3), starts ``liucun run`` that often at
once over the same files, kills and restarts some of them, runs once more, and compares archive and
tickets with those of one undisturbed run. The figures it prints are of this machine.
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
import time
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from tests.faults.kill_run import Trial, prepare
from tests.services import servers

PATIENCE = 600


@dataclass(frozen=True, slots=True)
class Places:
    """Where a trial's store lies: settings to begin with, or none for a local one."""

    settings: str | None = None
    postgres: str | None = None
    env: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What was seen. ``seconds`` is the wall time of all collectors together, ``busy`` who ended with exit 7."""

    records: int
    tickets: int
    seconds: float
    alone: float
    committed: list[int]
    kills: int
    restarts: int
    orphans: int
    database: str

    def __str__(self) -> str:
        return (
            f"{self.records:,} records, {self.tickets:,} tickets: nothing twice, nothing lost. "
            f"{len(self.committed)} collectors {self.seconds:.1f} s, one alone {self.alone:.1f} s; "
            f"committed by each {self.committed}; {self.kills} killed, {self.restarts} restarted; "
            f"{self.orphans} segments sealed in vain{self.database}"
        )


def run_trial(
    folder: Path, places: Places, *, records: int, collectors: int = 2, kills: int = 0, seed: int = 1
) -> Outcome:
    """Run the whole trial; raises AssertionError on any difference."""
    rng = random.Random(seed)
    sources, env = prepare(folder / "input", None, records)
    _spread(folder / "input", sources, rng)

    alone = Trial(folder / "alone", sources, env)
    alone.call("init")
    began = time.monotonic()
    counts = alone.finish()
    alone_seconds = time.monotonic() - began
    expected, tickets = alone.contents(), alone.tickets()
    assert tickets, "the input opens no ticket: the trial would prove nothing of them"

    together = Trial(folder / "together", sources, {**env, **places.env})
    if places.settings is None:
        together.call("init")
    else:
        (folder / "settings.toml").write_text(places.settings, encoding="utf-8")
        together.call("init", "--settings", str(folder / "settings.toml"))
    began = time.monotonic()
    committed, killed, restarted = _race(together, collectors, kills, rng, alone_seconds)
    seconds = time.monotonic() - began
    statistics = _statistics(places.postgres) if places.postgres else ""
    rest = together.finish()
    if not kills:
        assert rest["records_in"] == 0, f"collectors ended without having taken in {rest['records_in']} records"
        assert sum(committed) == counts["records_in"], f"collectors claim {committed} of {counts['records_in']} records"
    together.call("audit", "coverage")
    assert together.contents() == expected, "the archive differs from that of one collector"
    assert together.tickets() == tickets, "the tickets differ from those of one collector"
    together.call("audit", "integrity")
    return Outcome(
        int(str(counts["records_in"])),
        len(tickets),
        seconds,
        alone_seconds,
        committed,
        killed,
        restarted,
        _orphans(together),
        statistics,
    )


def _spread(folder: Path, sources: list[str], rng: random.Random) -> None:
    """Cut the comments into files of several sizes: collectors meet in some, and have others to themselves."""
    whole = folder / "comments.ndjson"
    lines = whole.read_bytes().splitlines(keepends=True)
    (folder / "parts").mkdir()
    number = 0
    while lines:
        size = rng.choice([50, 500, 5000, 20000])
        (folder / "parts" / f"comments-{number:04}.ndjson").write_bytes(b"".join(lines[:size]))
        lines, number = lines[size:], number + 1
    sources[sources.index(f"content:ndjson:{whole}")] = f"content:ndjson:{folder}/parts/*.ndjson"


def _race(trial: Trial, collectors: int, kills: int, rng: random.Random, whole: float) -> tuple[list[int], int, int]:
    """Run collectors until all have ended by themselves; returns what each committed, kills and restarts."""
    running = [_start(trial) for _ in range(collectors)]
    try:
        return _watch(trial, running, kills, rng, whole)
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.communicate()


def _watch(
    trial: Trial, running: list[subprocess.Popen[str]], kills: int, rng: random.Random, whole: float
) -> tuple[list[int], int, int]:
    collectors = len(running)
    committed = [0] * collectors
    killed = restarted = 0
    until = time.monotonic() + PATIENCE
    next_kill = time.monotonic() + rng.uniform(1.0, max(whole / 2, 1.5))
    ended: set[int] = set()
    while len(ended) < collectors:
        assert time.monotonic() < until, f"the collectors did not end within {PATIENCE} s: a deadlock"
        time.sleep(0.05)
        if killed < kills and time.monotonic() >= next_kill:
            victim = rng.choice([n for n in range(collectors) if n not in ended])
            running[victim].send_signal(signal.SIGKILL)
            running[victim].communicate()
            running[victim] = _start(trial)
            killed, restarted = killed + 1, restarted + 1
            next_kill = time.monotonic() + rng.uniform(0.5, max(whole / 2, 1.5))
        for number, process in enumerate(running):
            if number in ended or process.poll() is None:
                continue
            out, err = process.communicate()
            assert process.returncode == 0, f"collector {number}: exit {process.returncode}\n{err}"
            committed[number] += int(json.loads(out.strip().splitlines()[-1])["records_in"])
            ended.add(number)
    return committed, killed, restarted


def _start(trial: Trial) -> subprocess.Popen[str]:
    return subprocess.Popen(
        trial.command("run", "--json", *trial.sources),
        env=trial.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _statistics(url: str) -> str:
    """What PostgreSQL counted during the race."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        time.sleep(1.5)  # the server gathers its figures with a delay
        row = connection.execute(
            sa.text(
                "SELECT xact_commit, xact_rollback, deadlocks FROM pg_stat_database WHERE datname = current_database()"
            )
        ).one()
    engine.dispose()
    return f"; PostgreSQL: {row.xact_commit} commits, {row.xact_rollback} rollbacks, {row.deadlocks} deadlocks"


def _orphans(trial: Trial) -> int:
    """Segments on the storage that no manifest names, as `doctor` counts them."""
    done = subprocess.run(trial.command("doctor", "--json"), env=trial.env, capture_output=True, text=True, check=False)
    for check in json.loads(done.stdout)["checks"]:
        if check["check"].startswith("orphans"):
            return int(check["what"].split(" ")[0].replace(",", ""))
    return 0


def on_servers(postgres: str, periods: str, s3: tuple[str, str, str], bucket: str) -> Places:
    """A store whose catalogue, period keys and objects lie on servers."""
    text = f"""format = 1
[archive]
objects = "s3://{bucket}/{secrets.token_hex(6)}"
catalogue = "{postgres}"
[archive.s3]
endpoint = "{s3[0]}"
addressing = "path"
retry_seconds = 10
[keys]
periods = "{periods}"
[run]
batch_megabytes = 1
round_megabytes = 4
"""
    return Places(text, postgres, dict(servers.s3_environment(s3)))


def locally() -> Places:
    """A store in a folder, with batches small enough that collectors meet often."""
    return Places("format = 1\n[run]\nbatch_megabytes = 1\nround_megabytes = 4\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--collectors", type=int, default=2)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--servers", action="store_true", help="PostgreSQL and S3 of `make services`")
    arguments = parser.parse_args()
    options = {name: getattr(arguments, name) for name in ("records", "collectors", "kills", "seed")}
    with tempfile.TemporaryDirectory(prefix="liucun-collectors-") as folder:
        if not arguments.servers:
            print("SQLite and a folder:", run_trial(Path(folder), locally(), **options))
            return
        known = {**servers.settings(), **os.environ}
        missing = [name for name in NEEDED if name not in known]
        if missing:
            sys.exit(f"{', '.join(missing)} not set: start the servers with `make services`")
        s3 = (known[NEEDED[1]], known[NEEDED[2]], known[NEEDED[3]])
        with servers.database(known[NEEDED[0]]) as catalogue, servers.database(known[NEEDED[0]]) as periods:
            places = on_servers(catalogue, periods, s3, known[NEEDED[4]])
            print("PostgreSQL and S3:", run_trial(Path(folder), places, **options))


NEEDED = (
    "LIUCUN_TEST_POSTGRES",
    "LIUCUN_TEST_S3_ENDPOINT",
    "LIUCUN_TEST_S3_ACCESS_KEY",
    "LIUCUN_TEST_S3_SECRET_KEY",
    "LIUCUN_TEST_S3_BUCKET",
)

if __name__ == "__main__":
    main()
