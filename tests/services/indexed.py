"""A store whose archive a real Elasticsearch follows, used by the command line; and what that server holds of it."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.services import servers

SEARCH: Final = ("LIUCUN_TEST_ELASTICSEARCH", "LIUCUN_TEST_ELASTICSEARCH_USER", "LIUCUN_TEST_ELASTICSEARCH_PASSWORD")
"""Variables with the server's address and account."""
SEARCH_CA: Final = "LIUCUN_TEST_ELASTICSEARCH_CA"
"""Who signed its certificate, where it speaks TLS."""
PLACES: Final = "SELECT log_source, log_partition, log_offset FROM content"
PLACE: Final = ("liucun.source", "liucun.partition", "log.offset")
PAGE: Final = 10_000
"""Most documents that one search gives."""
DAY: Final = 86_400
NAMES: Final = ("one", "two", "three")
EACH, FILES = 1_000, len(NAMES)
RECORDS: Final = EACH * FILES
"""What the store ``copied`` holds: files, each a segment at least, of ``EACH`` records."""


@dataclass(slots=True)
class Server:
    """The real server, asked past the product's own client."""

    url: str
    user: str
    password: str
    ca: str = ""

    @classmethod
    def running(cls) -> Server:
        """The one of `make services`, or a skipped test."""
        return cls(*servers.need("elasticsearch", *SEARCH), servers.settings().get(SEARCH_CA, ""))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request; None where there is no such thing."""
        basic = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60, context=self._trust()) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

    def _trust(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.ca) if self.ca else None


@dataclass(slots=True)
class Indexed:
    """A store, its input files, and its indices on the server."""

    folder: Path
    server: Server
    prefix: str
    env: dict[str, str]

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "liucun", *words, "--store", str(self.store)]

    def call(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env={**self.env, **env}, capture_output=True, text=True, check=False, timeout=300
        )

    def fine(self, *words: str, **env: str) -> str:
        done = self.call(*words, **env)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def begin(self, *, urls: str | None = None, more: str = "", **env: str) -> None:
        """Make the store."""
        settings = self.folder / "settings.toml"
        settings.write_text(f"format = 1\n{self.section(urls)}{more}", encoding="utf-8")
        self.fine("init", "--settings", str(settings), **env)

    def section(self, urls: str | None = None) -> str:
        """The settings' section of the index."""
        return (
            f'\n[search]\nurls = ["{urls or self.server.url}"]\nuser = "{self.server.user}"\n'
            f'prefix = "{self.prefix}"\nreplicas = 0\nbulk_megabytes = 1\n'
            + (f'ca_file = "{self.server.ca}"\n' if self.server.ca else "")
        )

    def settings(self, old: str, new: str) -> None:
        """Change the store's settings file."""
        file = self.store / "liucun.toml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def say(self, name: str, texts: list[str], *, at: str = "2026-11-20T08:00:00+08:00", accounts: int = 20) -> Path:
        """A file of contents, one a text, by ``accounts`` accounts in turn."""
        file = self.folder / "in" / f"{name}.ndjson"
        file.parent.mkdir(exist_ok=True)
        lines = (
            {"event_time": at, "content_id": f"{name}-{n}", "user_id": f"person-{n % accounts}", "text": text}
            for n, text in enumerate(texts)
        )
        file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        return file

    def take_in(self, **env: str) -> dict[str, Any]:
        """Run over all files; a file that was read is passed over."""
        answer: dict[str, Any] = json.loads(
            self.fine("run", "--json", "--source", f"content:ndjson:{self.folder}/in/*.ndjson", **env)
        )
        return answer

    def archived(self, *options: str) -> list[tuple[str, str, int]]:
        """Every record's place, as the archive has it."""
        rows = json.loads(self.fine("query", PLACES, "--purpose", "test", "--json", *options))
        return sorted((row["log_source"], row["log_partition"], row["log_offset"]) for row in rows)

    def documents(self, query: dict[str, Any] | None = None, *, fields: Sequence[str] = ("*",)) -> list[dict[str, Any]]:
        """Every document of the class ``content``; their objects with dots in their names, as they were sent."""
        if self.server.ask("POST", f"/{self.prefix}-content/_refresh") is None:
            return []
        body = {
            "size": PAGE,
            "query": query or {"match_all": {}},
            "track_total_hits": True,
            "_source": list(fields) or False,
        }
        found = self.server.ask("POST", f"/{self.prefix}-content/_search", body)["hits"]
        assert found["total"]["value"] <= PAGE, "more documents than one search gives"
        return [{"_id": hit["_id"], "_index": hit["_index"], **hit.get("_source", {})} for hit in found["hits"]]

    def indexed(self) -> list[tuple[str, str, int]]:
        """Every document's place: one that is there twice is here twice."""
        found = self.documents(fields=PLACE)
        return sorted((doc[PLACE[0]], doc[PLACE[1]], doc[PLACE[2]]) for doc in found)

    def count(self) -> int:
        """How many documents there are."""
        return len(self.documents(fields=()))

    def total(self) -> int:
        """How many documents the server can find, however many they are."""
        answer = self.server.ask("GET", f"/{self.prefix}-content/_count")
        return 0 if answer is None else int(answer["count"])

    def indices(self) -> list[str]:
        return sorted(self.server.ask("GET", f"/{self.prefix}-*/_mapping") or {})

    def agree(self, *options: str) -> int:
        """Assert that archive and index agree, record for record; how many there are."""
        places = self.archived(*options)
        assert self.indexed() == places
        return len(places)

    @contextmanager
    def worker(self, **env: str) -> Iterator[subprocess.Popen[str]]:
        """``liucun worker`` beside what a test does; its output goes to a file."""
        with (self.folder / "worker.log").open("a", encoding="utf-8") as log:
            command = self.command("worker", "--json")
            process = subprocess.Popen(command, env={**self.env, **env}, stdout=log, stderr=log, text=True)
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
                process.wait(timeout=120)

    def worker_said(self) -> list[dict[str, Any]]:
        """The worker's steps of following."""
        lines = (self.folder / "worker.log").read_text(encoding="utf-8").splitlines()
        steps = [json.loads(line) for line in lines if line.startswith("{")]
        return [step for step in steps if step.get("step") == "index"]

    def clean(self) -> None:
        for index in self.indices():
            self.server.ask("DELETE", f"/{index}")
        for kind in ("user_log", "transaction", "content", "live_index"):
            self.server.ask("DELETE", f"/_index_template/{self.prefix}-{kind}")


def turned_clock(folder: Path) -> Path:
    """The library that turns the clock of a process that preloads it, built anew."""
    library = folder / "turned_clock.so"
    source = Path(__file__).with_name("turned_clock.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library


def days_ago(library: Path, days: float) -> dict[str, str]:
    """The environment of a command that believes to run so many days ago."""
    return {"LD_PRELOAD": str(library), "LIUCUN_CLOCK_SHIFT": str(-int(days * DAY))}


def within(what: str, seconds: float, happened: Any) -> float:
    """Wait for something; the seconds that it took."""
    began = time.monotonic()
    servers.wait_until(what, happened, seconds)
    return time.monotonic() - began


def environment(password: str) -> dict[str, str]:
    """Of every command: passphrase and the index's password."""
    return {
        **os.environ,
        "LIUCUN_PASSPHRASE": "a passphrase for tests",
        "LIUCUN_SEARCH_PASSWORD": password,
        "PYTHONWARNINGS": "ignore",
    }
