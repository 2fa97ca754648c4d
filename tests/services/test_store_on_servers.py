"""A whole store on PostgreSQL and S3 by the real command line, while its servers come and go."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import batches
from tests.faults.kill_run import prepare
from tests.services import servers
from tests.services.two_collectors import Places, on_servers

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


@dataclass(slots=True)
class Company:
    """Who uses the store: a settings file, an input, and commands."""

    folder: Path
    places: Places
    sources: list[str]
    env: dict[str, str]

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def settings(self) -> Path:
        file = self.folder / "settings.toml"
        file.write_text(str(self.places.settings), encoding="utf-8")
        return file

    def call(self, *words: str, store: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "liucun", *words, "--store", str(store or self.store)]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=600)

    def fine(self, *words: str) -> str:
        done = self.call(*words)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def company(tmp_path: Path, postgres_admin: str, s3_server: tuple[str, str, str], s3_bucket: str) -> Iterator[Company]:
    with servers.database(postgres_admin) as catalogue, servers.database(postgres_admin) as periods:
        places = on_servers(catalogue, periods, s3_server, s3_bucket)
        sources, env = prepare(tmp_path / "input", None, 60_000)
        made = Company(tmp_path, places, sources, {**env, **places.env})
        made.fine("init", "--settings", str(made.settings()))
        yield made


def test_a_store_on_servers_does_all_that_a_local_one_does(company: Company) -> None:
    taken = json.loads(company.fine("run", "--json", *company.sources))
    assert taken["records_in"] > 30_000
    assert taken["tickets_opened"] > 0
    rows = json.loads(company.fine("query", "SELECT count(*) AS n FROM content", "--purpose", "test", "--json"))
    assert rows == [{"n": taken["records"]["content"]}]
    for subject in ("coverage", "integrity"):
        assert json.loads(company.fine("audit", subject, "--json"))["ok"]
    assert len(json.loads(company.fine("tickets", "list", "--json", "--limit", "100000"))) == taken["tickets_opened"]
    doctor = company.call("doctor", "--json").stdout
    checks = [check for check in json.loads(doctor)["checks"] if check["level"] == "failed"]
    assert checks == []
    assert "a protected object cannot be deleted" in doctor
    assert "PostgreSQL" in doctor
    again = json.loads(company.fine("run", "--json", *company.sources))
    assert again["records_in"] == 0
    assert sorted(path.name for path in company.store.iterdir()) == ["keys", "liucun.toml"]


def test_places_of_another_store_are_refused(company: Company) -> None:
    done = company.call("init", "--settings", str(company.settings()), store=company.folder / "second")
    assert done.returncode == 2
    assert "already" in done.stderr
    assert not (company.folder / "second").exists()


def test_period_keys_do_not_lie_in_the_catalogues_database(company: Company) -> None:
    lines = str(company.places.settings).splitlines()
    catalogue = next(line for line in lines if line.startswith("catalogue"))
    mixed = [line if not line.startswith("periods") else catalogue.replace("catalogue", "periods", 1) for line in lines]
    (company.folder / "mixed.toml").write_text("\n".join(mixed), encoding="utf-8")
    done = company.call("init", "--settings", str(company.folder / "mixed.toml"), store=company.folder / "second")
    assert done.returncode == 2
    assert "period keys" in done.stderr


def committed(company: Company) -> int:
    """How many batches the catalogue holds."""
    line = next(line for line in str(company.places.settings).splitlines() if line.startswith("catalogue"))
    opened = Catalogue.open(line.split('"')[1])
    try:
        with opened.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(batches)).scalar_one())
    finally:
        opened.close()


def disturbed(company: Company, disturb: Callable[[], None]) -> dict[str, object]:
    """Run while servers are disturbed from another thread, and hand back what the run says."""
    helper = threading.Thread(target=disturb)
    with subprocess.Popen(
        [sys.executable, "-m", "liucun", "run", "--json", *company.sources, "--store", str(company.store)],
        env=company.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        servers.wait_until("the first batch", lambda: committed(company) or running.poll() is not None)
        helper.start()
        out, err = running.communicate(timeout=600)
        helper.join()
    assert running.returncode == 0, err
    answer: dict[str, object] = json.loads(out.strip().splitlines()[-1])
    return answer


def test_a_run_rides_out_restarts_of_both_servers(company: Company) -> None:
    def disturb() -> None:
        servers.control("postgres", "kill")
        servers.control("postgres", "start")
        servers.control("s3", "kill")
        time.sleep(2)
        servers.control("s3", "start")
        servers.control("postgres", "restart")

    taken = disturbed(company, disturb)
    assert json.loads(company.fine("audit", "coverage", "--json"))["ok"]
    assert json.loads(company.fine("audit", "integrity", "--json"))["ok"]
    rows = json.loads(
        company.fine(
            "query",
            "SELECT count(*) AS n, count(DISTINCT (log_partition, log_offset)) AS places FROM content",
            "--purpose",
            "test",
            "--json",
        )
    )
    assert rows[0]["n"] == rows[0]["places"] == dict(taken["records"])["content"]  # type: ignore[call-overload]


@pytest.mark.parametrize("server", ["postgres", "s3"])
def test_a_server_that_is_away_is_exit_code_8_and_the_next_run_goes_on(company: Company, server: str) -> None:
    servers.control(server, "stop")
    try:
        away = company.call("run", "--json", *company.sources)
    finally:
        servers.control(server, "start")
    assert away.returncode == 8, away.stderr
    assert "Traceback" not in away.stderr
    taken = json.loads(company.fine("run", "--json", *company.sources))
    assert taken["records_in"] > 30_000
    assert json.loads(company.fine("audit", "coverage", "--json"))["ok"]
