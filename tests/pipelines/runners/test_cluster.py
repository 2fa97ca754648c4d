"""The job manager's REST interface: whatever answers at its address, an error of ours says so."""

from __future__ import annotations

import httpx
import pytest

from errors import LiucunError, StorageError, UnreachableError
from pipelines.runners.cluster import Cluster, ClusterJob, require_parts
from pipelines.runners.settings import FlinkSettings

JOB = ClusterJob("j", "liucun-1", "RUNNING", 0)


def answering(status: int, body: bytes) -> Cluster:
    cluster = Cluster("127.0.0.1:1")
    cluster._client = httpx.Client(
        base_url="http://127.0.0.1:1",
        transport=httpx.MockTransport(lambda _request: httpx.Response(status, content=body)),
    )
    return cluster


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"", b"{}", b"[]", b"[1]", b"null", b"7", b"\xff", b'{"jobs":[{}]}']
)
@pytest.mark.parametrize("question", ["slots", "slots_each", "jobs"])
def test_what_is_no_job_manager_is_told(question: str, body: bytes) -> None:
    with pytest.raises(StorageError, match="is not Flink's job manager"):
        getattr(answering(200, body), question)()


@pytest.mark.parametrize("question", ["restarts", "checkpoints", "root_cause"])
def test_of_a_job_too(question: str) -> None:
    with pytest.raises(StorageError, match="is not Flink's job manager"):
        getattr(answering(200, b"<html>"), question)(JOB)
    with pytest.raises(StorageError, match="is not Flink's job manager"):
        answering(200, b'[{"value":"NaN"}]').restarts(JOB)


@pytest.mark.parametrize(("status", "error"), [(503, UnreachableError), (404, StorageError), (500, StorageError)])
def test_answers_that_are_errors(status: int, error: type[LiucunError]) -> None:
    with pytest.raises(error):
        answering(status, b"").slots()


def test_a_wish_to_cancel_that_is_refused_is_told() -> None:
    for status in (202, 404, 409):  # accepted, and over already
        answering(status, b"").cancel(JOB)
    with pytest.raises(StorageError, match="answered 403"):
        answering(403, b"").cancel(JOB)


@pytest.mark.parametrize("address", ["a..b:80", ".:1", "127.0.0.1:99999", "127.0.0.1:1"])
def test_addresses_that_nobody_can_have(address: str) -> None:
    with pytest.raises(UnreachableError, match="does not answer"):
        Cluster(address).slots()
    cluster = answering(200, b'{"slots-total": 1}')
    with pytest.raises(UnreachableError, match="job server"):
        require_parts(cluster, FlinkSettings(job_server=address))
