"""Runs on a real Flink cluster from a real Kafka, with parts killed: the archive is the input, record for record.

The long form, with figures: ``python -m tests.services.long_trial --help``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from errors import StorageError
from liucun.cli import main_group
from pipelines.runners import flink as flink_runner
from pipelines.runners.cluster import Cluster as FlinkCluster
from tests.services import long_trial, servers
from tests.services.flink_trial import Cluster, Trial, create_topic, everything, flink, produce

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]
PARTITIONS = 4


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster.running()


@pytest.fixture
def trial(cluster: Cluster, tmp_path: Path) -> Iterator[Trial]:
    with Trial(cluster, tmp_path / "store", create_topic(cluster.kafka, PARTITIONS)) as made:
        made.create()
        yield made
    for part in ("main", "taskmanager", "jobserver", "workers"):
        flink(part, "start")


def write(trial: Trial, numbers: range, rate: float | None = None) -> None:
    produce(trial.cluster.kafka, trial.topic, numbers, partitions=PARTITIONS, rate=rate)


def test_a_run_ends_by_itself_and_the_next_goes_on_from_there(trial: Trial) -> None:
    write(trial, range(20_000))
    trial.start()
    summary = trial.finish()
    assert (summary["records_in"], summary["tickets_opened"]) == (20_000, 200)
    write(trial, range(20_000, 21_000))
    trial.start("--parallelism", "1")
    assert trial.finish()["records_in"] == 1000
    trial.prove(range(21_000))


def test_every_subtask_has_a_lane_of_its_own(trial: Trial) -> None:
    write(trial, range(8000))
    trial.start("--follow", "--parallelism", "2")
    trial.wait(8000)
    overview = httpx.get(f"http://{trial.cluster.flink}/jobs/overview", trust_env=False).json()
    (job,) = (item["jid"] for item in overview["jobs"] if item["state"] == "RUNNING")
    vertices = httpx.get(f"http://{trial.cluster.flink}/jobs/{job}", trust_env=False).json()["vertices"]
    (seal,) = (vertex["id"] for vertex in vertices if "Seal" in vertex["name"])

    def lanes() -> list[int]:
        answer = httpx.get(f"http://{trial.cluster.flink}/jobs/{job}/vertices/{seal}", trust_env=False).json()
        return [subtask["metrics"]["read-records"] for subtask in answer["subtasks"]]

    # The job manager asks for metrics now and then only.
    servers.wait_until("both keys are shown", lambda: sum(lanes()) == 2, 60)
    assert lanes() == [1, 1]
    trial.stop()
    trial.prove(range(8000))


def test_a_submission_that_the_cluster_shows_too_late_is_taken_back(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(trial, range(100))
    for name, value in trial.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(flink_runner, "START_SECONDS", -1.0)
    shown = FlinkCluster.job
    # The first look, which decides, comes before the job manager knows of it.
    looks = iter([None])
    monkeypatch.setattr(FlinkCluster, "job", lambda self, name: next(looks, shown(self, name)))
    done = CliRunner().invoke(main_group, ["run", "--runner", "flink", "--follow", "--store", str(trial.store)])
    assert isinstance(done.exception, StorageError)
    assert "does not know it" in done.exception.what
    monkeypatch.undo()
    jobs = FlinkCluster(trial.cluster.flink)
    assert [job for job in jobs.jobs("liucun-") if job.alive] == []
    jobs.close()


def test_an_archive_on_servers_is_exact_whatever_fails(cluster: Cluster, tmp_path: Path) -> None:
    """The short form of the long trial: every part once."""
    numbers = range(60_000)
    topic = create_topic(cluster.kafka, PARTITIONS)
    parts = dict.fromkeys(("taskmanager", "workers", "main", "postgres", "s3", "kafka"), 1)
    with everything() as places, Trial(cluster, tmp_path / "store", topic, places=places) as trial:
        trial.create()
        trial.start("--follow")
        long_trial.run(trial, numbers, parts, partitions=PARTITIONS, rate=3000, seed=7, away={"s3": 5.0})
        assert trial.stop()["records_in"] == len(numbers)
        trial.prove(numbers, integrity=True)


def test_a_new_version_takes_over_from_the_cursors_without_a_savepoint(trial: Trial) -> None:
    """Stop, change rules and mapping, start: nothing is lost or doubled, and the new rules are in force."""
    write(trial, range(5000))
    trial.start("--follow")
    trial.wait(5000)
    trial.stop()
    settings = trial.store / "liucun.toml"
    head, ours = settings.read_text(encoding="utf-8").split('name = "posts"')
    ours = 'name = "posts"\nmapping = { order_id = "number" }' + ours.replace("parallelism = 2", "parallelism = 1")
    settings.write_text(head + ours + '[detect]\nshadow = ["*"]\n', encoding="utf-8")
    write(trial, range(5000, 10_000))
    trial.start()
    trial.finish()
    trial.prove(range(10_000), tickets=False)
    sql = "SELECT min(order_id::INT) AS low, max(order_id::INT) AS high, count(order_id) AS n FROM content"
    assert trial.call("query", sql, "--purpose", "test") == [{"low": 5000, "high": 9999, "n": 5000}]
    (shadow,) = trial.call(
        "query", "SELECT count(*) AS n FROM audit_events WHERE kind = 'rules.shadow'", "--purpose", "t"
    )
    assert shadow["n"] > 0


def test_a_second_run_of_the_same_sources_takes_the_first_one_s_place(trial: Trial, tmp_path: Path) -> None:
    """A supervisor that was killed leaves its job behind; its successor ends that before it submits its own."""
    jobs = FlinkCluster(trial.cluster.flink)

    def alive() -> set[str]:
        return {job.job_id for job in jobs.jobs("liucun-") if job.alive}

    write(trial, range(2000))
    trial.start("--follow")
    trial.wait(2000)
    first = alive()
    assert trial.process is not None
    trial.process.kill()
    trial.process.communicate()
    assert alive() == first, "the job outlives its supervisor"
    trial.start("--follow")
    servers.wait_until("the second job", lambda: alive() and not alive() & first, 120)
    assert len(alive()) == 1
    write(trial, range(2000, 4000))
    trial.wait(4000)
    trial.stop()
    assert not alive()
    jobs.close()
    trial.prove(range(4000))


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        (('master = "', 'master = "127.0.0.1:1" #'), 8, "job manager"),
        (('job_server = "', 'job_server = "127.0.0.1:1" #'), 8, "job server"),
        (('workers = "', 'workers = "127.0.0.1:1" #'), 8, "worker pool"),
        (("parallelism = 2", "parallelism = 99"), 6, "99"),
    ],
)
def test_what_is_missing_is_said_before_a_job_is_submitted(
    trial: Trial, change: tuple[str, str], code: int, word: str
) -> None:
    settings = trial.store / "liucun.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace(*change, 1), encoding="utf-8")
    command = [sys.executable, "-m", "liucun", "run", "--runner", "flink", "--store", str(trial.store), "--json"]
    done = subprocess.run(command, env=trial.env, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (code, "")
    assert word in done.stderr


def test_workers_that_cannot_open_the_store_end_the_run_with_the_reason(cluster: Cluster, tmp_path: Path) -> None:
    with Trial(cluster, tmp_path / "store", create_topic(cluster.kafka, 1), passphrase="not the workers' own") as trial:
        trial.create()
        produce(cluster.kafka, trial.topic, range(10), partitions=1)
        trial.start()
        assert trial.process is not None
        _, said = trial.process.communicate(timeout=300)
        assert trial.process.returncode == 6
        assert "passphrase" in said
        assert trial.committed() == 0


def test_files_are_not_for_flink(trial: Trial, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text(json.dumps({"content_id": "a"}) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "liucun", "run", "--runner", "flink", "--store", str(trial.store)]
    command += ["--source", f"content:ndjson:{tmp_path}/*.ndjson"]
    done = subprocess.run(command, env=trial.env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "Kafka only" in done.stderr


@pytest.mark.slow
def test_checkpoints_do_not_grow(trial: Trial) -> None:
    """A polling source that leaves a little state behind at every turn would fill the checkpoints for good."""
    write(trial, range(1000))
    trial.start("--follow")
    trial.wait(1000)
    jobs = FlinkCluster(trial.cluster.flink)
    (job,) = [job for job in jobs.jobs("liucun-") if job.alive]

    def sizes() -> list[int]:
        history = jobs.checkpoints(job)
        return [size for size in reversed(history) if size]

    servers.wait_until("a few checkpoints", lambda: len(sizes()) >= 3, 60)
    before = sizes()[-1]
    time.sleep(20)
    assert sizes()[-1] == before
    jobs.close()
    trial.stop()
