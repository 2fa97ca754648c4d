"""Kills a run at random moments and restarts it, then compares it with an undisturbed run.

Anyone can run it: ``python -m tests.faults.kill_run --kills 50``. Without ``--data`` it
makes its own input; with it, e.g. ``--data '../shared/data/retail/*.csv.gz'``, it uses
real transactions beside the content that opens tickets.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

RETAIL_MAPPING = {
    "order_id": "InvoiceNo",
    "item_id": "StockCode",
    "text": "Description",
    "event_time": "InvoiceDate",
    "user_id": "CustomerID",
}
MAX_STORES = 200


@dataclass
class Trial:
    """A store under test: how to run over its sources, and what it holds."""

    store: Path
    sources: list[str]
    env: dict[str, str] = field(default_factory=dict)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "liucun", *words, "--store", str(self.store)]

    def call(self, *words: str) -> str:
        done = subprocess.run(self.command(*words), env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command("run", "--json", *self.sources),
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def finish(self) -> dict[str, object]:
        answer: dict[str, object] = json.loads(self.call("run", "--json", *self.sources))
        return answer

    def contents(self) -> list[dict[str, object]]:
        """Rows by class with order-free digests of what was archived and where it stood."""
        sql = " UNION ALL ".join(
            f"SELECT '{view}' AS view, count(*) AS n, "
            "count(DISTINCT (log_source, log_partition, log_offset)) AS places, "
            f"bit_xor(hash(log_partition, log_offset, raw)) AS digest FROM {view}"
            for view in ("transactions", "content", "user_logs", "unparsed")
        )
        found: list[dict[str, object]] = json.loads(self.call("query", sql, "--purpose", "kill test", "--json"))
        return sorted(found, key=lambda row: str(row["view"]))

    def tickets(self) -> list[tuple[object, ...]]:
        rows = json.loads(self.call("tickets", "list", "--json", "--limit", "1000000"))
        names = ("content_id", "partition", "offset", "state", "category", "findings")
        return sorted(tuple(str(row.get(name)) for name in names) for row in rows)


def prepare(folder: Path, data: str | None, records: int) -> tuple[list[str], dict[str, str]]:
    """Write the input and return the ``run`` arguments and the environment with a passphrase."""
    env = {**os.environ, "LIUCUN_PASSPHRASE": "kill-test-passphrase", "PYTHONWARNINGS": "ignore"}
    subprocess.run(
        [sys.executable, "-m", "liucun", "sample", "--out", str(folder), "--records", str(records), "--seed", "7"],
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    sources = ["--published", "--source", f"content:ndjson:{folder}/comments.ndjson"]
    if data:
        sources += ["--source", f"transaction:csv:{data}"]
        sources += [word for pair in RETAIL_MAPPING.items() for word in ("--map", "=".join(pair))]
    else:
        sources += ["--source", f"transaction:ndjson:{folder}/orders.ndjson.gz"]
    return sources, env


def kill_runs(folder: Path, *, kills: int, data: str | None, records: int, seed: int) -> str:
    """Run the whole trial and return one line that says what was seen; raises AssertionError on a difference."""
    rng = random.Random(seed)
    sources, env = prepare(folder / "input", data, records)

    undisturbed = Trial(folder / "undisturbed", sources, env)
    undisturbed.call("init")
    began = time.monotonic()
    counts = undisturbed.finish()
    whole = time.monotonic() - began
    expected, tickets = undisturbed.contents(), undisturbed.tickets()
    assert tickets, "the input opens no ticket: the trial would prove nothing of them"

    made, cut = 0, 0
    for number in range(MAX_STORES):
        if made >= kills:
            break
        trial = Trial(folder / f"killed-{number}", sources, env)
        trial.call("init")
        fresh = True
        while made < kills:
            process, began = trial.start(), time.monotonic()
            try:
                process.wait(timeout=rng.uniform(0.2, whole))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                cut += 1
            else:
                assert process.returncode == 0, f"a restarted run failed with exit {process.returncode}"
                if fresh:  # the machine is quicker now than while the undisturbed run was timed
                    whole = min(whole, time.monotonic() - began)
                break
            fresh = False
            made += 1
        trial.finish()
        assert trial.contents() == expected, f"the archive of {trial.store} differs"
        assert trial.tickets() == tickets, f"the tickets of {trial.store} differ"
        trial.call("audit", "coverage")
    assert cut == kills, f"only {cut} of {kills} kills hit a running process"
    return f"{cut} kills -9, {counts['records_in']} records, {len(tickets)} tickets: every restart ended exact"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--data", help="glob of retail CSV files; default: generated orders")
    parser.add_argument("--records", type=int, default=20_000, help="size of the generated input")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="liucun-kills-") as folder:
        print(
            kill_runs(
                Path(folder),
                kills=arguments.kills,
                data=arguments.data,
                records=arguments.records,
                seed=arguments.seed,
            )
        )


if __name__ == "__main__":
    main()
