"""The jobs of a run on Flink: submitted anew when the cluster lost them, ended, taken back when they show too late."""

from __future__ import annotations

from typing import Any

import pytest

from errors import UnreachableError
from pipelines.runners import submissions
from pipelines.runners.cluster import ClusterJob
from pipelines.runners.settings import FlinkSettings
from pipelines.runners.submissions import Submissions
from pipelines.sources.kafka_settings import KafkaSettings
from pipelines.sources.spec import SourceSpec
from retention.store import Store
from tests.pipelines.runners.stand_in import StandIn
from tickets.telling import AS_SHIPPED

AWAY = UnreachableError("The job manager is away.", cure="-")
SPEC = SourceSpec(
    name="k",
    kind="kafka",
    record_class="content",
    format="ndjson",
    kafka=KafkaSettings(brokers=("h:1",), topics=("t",)),
)


class Submitted:
    """What Beam hands back for a submission; ``cancel`` does what the test says."""

    def __init__(self, cancel: Any) -> None:
        self.cancel = cancel


@pytest.fixture
def cluster() -> StandIn:
    made = StandIn()
    made.running.clear()
    return made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def jobs(store: Store, cluster: StandIn, said: list[str], monkeypatch: pytest.MonkeyPatch) -> Submissions:
    """Submissions whose graph is built, and handed to nobody: the cluster runs what it is said to run."""
    monkeypatch.setattr(submissions, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(submissions, "LATE_SECONDS", 0.2)
    monkeypatch.setattr(submissions, "END_SECONDS", 0.2)
    monkeypatch.setattr(submissions, "require_parts", lambda cluster, settings: None)
    monkeypatch.setattr(submissions.beam.Pipeline, "run", lambda self: Submitted(lambda: None))
    return Submissions(
        store,
        {"k": SPEC},
        FlinkSettings(),
        cluster,  # type: ignore[arg-type]
        batch_bytes=1 << 20,
        rules=None,
        opening=AS_SHIPPED,
        savepoint="/a/savepoint",
        problem=said.append,
    )


def test_only_the_first_job_begins_at_the_savepoint(jobs: Submissions, monkeypatch: pytest.MonkeyPatch) -> None:
    flags: list[list[str]] = []
    real = submissions.PipelineOptions

    def options(**given: Any) -> Any:
        flags.append(given["flags"])
        return real(**given)

    monkeypatch.setattr(submissions, "PipelineOptions", options)
    jobs.submit()
    jobs.submit()
    assert flags == [["--savepoint_path=/a/savepoint", "--allow_non_restored_state"], []]


def test_a_job_that_the_cluster_lost_is_submitted_anew(jobs: Submissions, cluster: StandIn, said: list[str]) -> None:
    jobs.submit()
    first = jobs._names[-1]
    cluster.running.append(first)
    assert not jobs.again(), "it runs"
    cluster.running.clear()
    assert jobs.again()
    assert said == [f"the cluster lost the job {first}; it was submitted anew"]
    assert len(set(jobs._names)) == 2
    assert jobs._names[0].rpartition("-")[0] == jobs._names[1].rpartition("-")[0], "a later run knows them by it"


def test_a_cluster_that_is_away_is_waited_for(
    jobs: Submissions, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_given: object) -> None:
        raise AWAY

    jobs.submit()
    monkeypatch.setattr(submissions, "require_parts", away)
    monkeypatch.setattr(StandIn, "job", away)
    assert not jobs.again()
    assert jobs.newest() is None
    assert said == [AWAY.what] * 2
    assert len(jobs._names) == 1


def test_the_end_ends_every_job_and_says_what_goes_on(
    jobs: Submissions, cluster: StandIn, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        jobs.submit()
    cluster.running += jobs._names
    jobs.end()
    assert cluster.running == []
    assert said == []
    cluster.running += jobs._names
    monkeypatch.setattr(StandIn, "cancel", lambda self, job: None)
    jobs.end()
    assert len(said) == 1
    assert "has not ended the job" in said[0]


@pytest.mark.parametrize("refuses", [False, True])
def test_a_submission_that_shows_too_late_is_taken_back(
    jobs: Submissions, cluster: StandIn, said: list[str], monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    """Whatever the job server says to it: it must not run with nobody watching."""
    taken: list[str] = []

    def cancel() -> None:
        taken.append(jobs._names[-1])
        cluster.running.append(jobs._names[-1])
        if refuses:
            raise RuntimeError("no such job")

    def shown(self: StandIn, name: str) -> ClusterJob | None:
        return ClusterJob(name, name, "RUNNING" if name in self.running else "CANCELED", 0) if taken else None

    monkeypatch.setattr(submissions.beam.Pipeline, "run", lambda self: Submitted(cancel))
    monkeypatch.setattr(StandIn, "job", shown)
    jobs.submit()
    jobs.end()
    assert taken == jobs._names
    assert cluster.running == []
    assert said == ([f"the submission of {taken[0]} could not be taken back: no such job"] if refuses else [])


def test_a_submission_that_never_shows_is_not_waited_for_without_end(
    jobs: Submissions, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "job", lambda self, name: None)
    jobs.submit()
    jobs.end()
    assert said == []


def test_a_submission_that_shows_between_two_looks_is_ended(
    jobs: Submissions, cluster: StandIn, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def shown(self: StandIn, name: str) -> ClusterJob | None:
        looked.append(name)
        if len(looked) == 1:
            return None
        return ClusterJob(name, name, "RUNNING" if name in self.running else "CANCELED", 0)

    monkeypatch.setattr(StandIn, "job", shown)
    jobs.submit()
    cluster.running += jobs._names
    jobs.end()
    assert cluster.running == []
    assert said == []
