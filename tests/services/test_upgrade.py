"""A savepoint, a new version of the program, and on: nothing is lost or doubled, and the new version does its work.

The new version is a copy of the program with a column more in its schema and a rule more in a pack that ships.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.runners.cluster import Cluster as FlinkCluster
from tests.services.flink_trial import Cluster, Trial, copied_program, create_topic, produce, record, worker_pool

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]
PARTITIONS = 4
COLUMN = '    pa.field("text", pa.string()),\n)'
PHRASE = "绿豆糕三号桌暗语"


def new_version(folder: Path) -> Path:
    """The program with the column ``number`` and a rule that finds ``PHRASE``."""
    copied_program(folder)
    schema = folder / "retention" / "schema.py"
    text = schema.read_text(encoding="utf-8")
    assert COLUMN in text
    schema.write_text(text.replace(COLUMN, '    pa.field("number", pa.int64()),\n' + COLUMN), encoding="utf-8")
    with (folder / "detectors" / "packs" / "gambling.csv").open("a", encoding="utf-8") as pack:
        pack.write(f"gambling.coded.901,online_casino,{PHRASE},,{PHRASE}见,\n")
    return folder


def coded(number: int) -> bytes:
    """A record; some hold what only the new version's rule finds."""
    fields = json.loads(record(number))
    if number % 100 == 50:
        fields["text"] = f"{PHRASE}见"
    return json.dumps(fields, ensure_ascii=False).encode()


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    cluster = Cluster.running()
    with Trial(cluster, tmp_path / "store", create_topic(cluster.kafka, PARTITIONS)) as made:
        made.create()
        yield made


def write(trial: Trial, numbers: range, rate: float | None = None) -> None:
    produce(trial.cluster.kafka, trial.topic, numbers, partitions=PARTITIONS, rate=rate, make=coded)


def savepoint(trial: Trial) -> str:
    """Take a savepoint of the running job; where it lies."""
    jobs = FlinkCluster(trial.cluster.flink)
    (job,) = [job for job in jobs.jobs("liucun-") if job.alive]
    jobs.close()
    with httpx.Client(base_url=f"http://{trial.cluster.flink}/jobs/{job.job_id}", trust_env=False) as client:
        asked = client.post("/savepoints", json={"cancel-job": False}).json()["request-id"]
        until = time.monotonic() + 120
        while (found := client.get(f"/savepoints/{asked}").json())["status"]["id"] != "COMPLETED":
            assert time.monotonic() < until
            time.sleep(0.2)
    assert "location" in found["operation"], found
    return str(found["operation"]["location"])


def restored_from(trial: Trial) -> str | None:
    """The savepoint that the running job began with; waits for the job, which may have had nothing to commit yet."""
    jobs = FlinkCluster(trial.cluster.flink)
    until = time.monotonic() + 120
    while not (alive := [job for job in jobs.jobs("liucun-") if job.alive]):
        assert time.monotonic() < until, "no job runs"
        time.sleep(0.5)
    (job,) = alive
    jobs.close()
    latest: dict[str, Any] = httpx.get(f"http://{trial.cluster.flink}/jobs/{job.job_id}/checkpoints").json()["latest"]
    return None if latest["restored"] is None else str(latest["restored"]["external_path"])


def test_a_new_version_goes_on_from_a_savepoint(trial: Trial, tmp_path: Path) -> None:
    numbers = range(12_000)
    write(trial, numbers[:3000])
    trial.start("--follow")
    trial.wait(3000)
    writer = threading.Thread(target=write, args=(trial, numbers[3000:6000], 200.0))
    writer.start()
    trial.wait(3500)
    kept = savepoint(trial)
    taken = trial.committed()
    writer.join()
    # The old version works on: what it commits now, the savepoint knows nothing of.
    write(trial, numbers[6000:7000])
    trial.wait(7000)
    write(trial, numbers[7000:9000])
    trial.stop()
    before = trial.committed()
    assert taken < before <= 9000

    trial.code = new_version(tmp_path / "new")
    with worker_pool(trial):
        trial.start("--follow", "--from-savepoint", kept)
        trial.wait(9000)
        assert restored_from(trial) == kept
        write(trial, numbers[9000:])
        trial.wait(len(numbers))
        time.sleep(5)
        assert trial.stop()["records_in"] == len(numbers) - before
    trial.prove(numbers, tickets=False, integrity=True)

    number = "CAST(substr(content_id, 2) AS BIGINT)"
    (columns,) = trial.ask(
        f"SELECT count(number) AS new, count(*) FILTER (WHERE number <> {number}) AS wrong, "
        f"count(*) FILTER (WHERE number IS NULL AND {number} >= 9000) AS late FROM content"
    )
    assert columns == {"new": len(numbers) - before, "wrong": 0, "late": 0}
    expected = trial.ask(
        f"SELECT content_id FROM content WHERE {number} % 100 = 0 OR ({number} % 100 = 50 AND number IS NOT NULL)"
    )
    tickets = trial.ask("SELECT content_id FROM tickets")
    assert sorted(row["content_id"] for row in tickets) == sorted(row["content_id"] for row in expected)
    assert len(expected) >= len(numbers) // 100 + (len(numbers) - 9000) // 100
