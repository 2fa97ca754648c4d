"""Kills the collector and the run behind it at random moments, while programs send lines and send them again.

Anyone can run it: ``python -m tests.faults.kill_collector --kills 20``. Every request carries an idempotency key and is
sent again until it is answered; at the end every line is in the archive exactly once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from console.access.roles import Role
from console.access.tokens import issue
from console.migrate import prepare_tables as prepare_console
from liucun.store import prepare_tables
from retention.store import Store, StoreSettings
from tests.console.conftest import make_account

PASSPHRASE = "kill-test-passphrase"
SOURCE = """
[collector]
reserve_megabytes = 0
file_megabytes = 1

[[source]]
name = "posts"
kind = "collector"
record_class = "content"
format = "ndjson"
published = { text = true }
"""


@dataclass
class Site:
    """A store with a collector that is killed now and then."""

    store: Path
    port: int
    token: str = ""
    asker: str = ""
    """Token of somebody who may query."""
    env: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "liucun", *words, "--store", str(self.store)]

    def call(self, *words: str) -> str:
        done = subprocess.run(self.command(*words), env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, name: str) -> None:
        words = ("serve", "--port", str(self.port)) if name == "serve" else ("run", "--follow", "--json")
        self.processes[name] = subprocess.Popen(
            self.command(*words), env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def stop(self, name: str) -> None:
        self.processes[name].terminate()
        assert self.processes[name].wait(120) in {0, -signal.SIGTERM, 128 + signal.SIGTERM}


@dataclass(eq=False)
class Sender(threading.Thread):
    """A program that sends numbered lines, and what it was not answered again."""

    site: Site
    number: int
    ending: threading.Event
    sent: list[str] = field(default_factory=list)
    again: int = 0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        rng = random.Random(self.number)
        headers = {"Authorization": f"Bearer {self.site.token}", "Content-Type": "application/x-ndjson"}
        with httpx.Client(base_url=f"http://127.0.0.1:{self.site.port}", timeout=10, headers=headers) as client:
            batch = 0
            while not self.ending.is_set():
                names = [f"{self.number}-{batch}-{n}" for n in range(rng.randint(1, 40))]
                lines = [json.dumps({"content_id": name, "text": f"text {name}"}) + "\n" for name in names]
                self._send(client, "".join(lines), f"{self.number}-{batch}")
                self.sent += names
                batch += 1

    def _send(self, client: httpx.Client, body: str, key: str) -> None:
        while True:
            try:
                answer = client.post("/v1/logs", content=body.encode(), headers={"Idempotency-Key": key})
                if answer.status_code == 200:
                    return
                assert answer.status_code in {429, 503}, answer.text
            except httpx.TransportError:
                pass
            self.again += 1
            time.sleep(0.05)


def prepare(folder: Path) -> Site:
    """A store with a declared source and a program's token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "LIUCUN_PASSPHRASE": PASSPHRASE, "PYTHONWARNINGS": "ignore"}
    site = Site(folder / "store", port, env=env)
    site.call("init")
    with (site.store / "liucun.toml").open("a", encoding="utf-8") as settings:
        settings.write(SOURCE)
    with Store.open(site.store, StoreSettings(), PASSPHRASE) as store:
        prepare_tables(store.catalogue)
        prepare_console(store.catalogue)
        account = make_account(store.catalogue, "shop", Role.COLLECTOR)
        site.token = issue(store.catalogue, account, name="kill test", days=1)
        auditor = make_account(store.catalogue, "aud", Role.AUDITOR)
        site.asker = issue(store.catalogue, auditor, name="kill test", days=1)
    return site


def kill_collector(folder: Path, *, kills: int, seed: int = 1, senders: int = 3) -> str:
    """Run the trial and return one line that says what was seen; raises AssertionError on a difference."""
    rng = random.Random(seed)
    site = prepare(folder)
    ending = threading.Event()
    threads = [Sender(site, number, ending) for number in range(senders)]
    site.start("serve")
    site.start("run")
    try:
        for thread in threads:
            thread.start()
        for number in range(kills):
            before = sum(len(thread.sent) for thread in threads)
            until = time.monotonic() + 120
            while sum(len(thread.sent) for thread in threads) == before:
                assert time.monotonic() < until, "nothing was answered for two minutes"
                time.sleep(0.02)
            time.sleep(rng.uniform(0.0, 0.7))
            for name in ("serve", "run") if number % 3 == 2 else ("serve",):
                site.kill(name)
                site.start(name)
        ending.set()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive(), "a sender was not answered"
        site.stop("run")
        site.call("run", "--json")
        site.call("audit", "coverage")
    finally:
        ending.set()
        for process in site.processes.values():
            process.kill()
            process.wait()
    sql = "SELECT content_id, count(*) AS n FROM content GROUP BY content_id"
    site.env["LIUCUN_TOKEN"] = site.asker
    rows = json.loads(site.call("query", sql, "--purpose", "kill test", "--json"))
    sent = sorted(name for thread in threads for name in thread.sent)
    assert sent, "nothing was sent"
    assert sorted(row["content_id"] for row in rows) == sent, "lines are missing, or lines are there that nobody sent"
    assert {row["n"] for row in rows} == {1}, "a line is there twice"
    again = sum(thread.again for thread in threads)
    return f"{kills} kills -9, {len(sent)} lines answered, {again} requests sent again: each line archived exactly once"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="liucun-kills-") as folder:
        print(kill_collector(Path(folder), kills=arguments.kills, seed=arguments.seed))


if __name__ == "__main__":
    main()
