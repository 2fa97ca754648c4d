"""The Flink cluster's REST interface: which of our jobs run there, how they fare, and their end."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx

from errors import StorageError, UnreachableError
from pipelines.runners.settings import FlinkSettings

ALIVE: Final = frozenset({"INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING", "RECONCILING", "SUSPENDED"})
_SECONDS: Final = 10.0
_NO_ANSWER: Final = (httpx.HTTPError, httpx.InvalidURL, UnicodeError)
"""``UnicodeError``: a host's name that cannot be one."""
_ENDED: Final = frozenset({httpx.codes.NOT_FOUND, httpx.codes.CONFLICT})
"""Answers to the wish to cancel a job that is over."""
_PYTHON_ERROR: Final = re.compile(r"(?!java\.|org\.)[A-Za-z_][\w.]*Error: \S.*")


Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """A job as the job manager shows it; ``began`` is in milliseconds since 1970."""

    job_id: str
    name: str
    state: str
    began: int

    @property
    def alive(self) -> bool:
        """Whether it runs, or will again without anybody's doing."""
        return self.state in ALIVE


class Cluster:
    """Speaks to one job manager at ``HOST:PORT``."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = httpx.Client(base_url=f"http://{address}", timeout=_SECONDS, trust_env=False)

    def slots(self) -> int:
        """Task slots that task managers offer.

        Raises:
            UnreachableError: the job manager does not answer.
            StorageError: it answers something else, or is none.
        """
        return self._get("/overview", lambda found: int(found["slots-total"]))

    def slots_each(self) -> int:
        """The most slots that one task manager has, at least 1. Raises as ``slots``."""
        return self._get(
            "/taskmanagers",
            lambda found: max((int(item["slotsNumber"]) for item in found["taskmanagers"]), default=1),
        )

    def jobs(self, prefix: str = "") -> list[ClusterJob]:
        """Jobs whose names begin so, ended ones included. Raises as ``slots``."""
        return self._get(
            "/jobs/overview",
            lambda found: [
                ClusterJob(item["jid"], item["name"], item["state"], int(item["start-time"]))
                for item in found["jobs"]
                if item["name"].startswith(prefix)
            ],
        )

    def job(self, name: str) -> ClusterJob | None:
        """The newest job of this name, None when the job manager knows none. Raises as ``slots``."""
        found = [job for job in self.jobs(name) if job.name == name]
        return max(found, key=lambda job: (job.alive, job.began), default=None)

    def root_cause(self, job: ClusterJob) -> str | None:
        """The last line that says why a job failed or restarts. Raises as ``slots``."""
        entries: list[Any] = self._get(
            f"/jobs/{job.job_id}/exceptions", lambda found: found.get("exceptionHistory", {}).get("entries", [])
        )
        if not entries:
            return None
        lines = [line.strip() for line in str(entries[0].get("stacktrace", "")).splitlines()]
        # A Python worker's traceback says the error itself; the Java frames around it only that there was one.
        named = (found.group(0) for line in lines if (found := _PYTHON_ERROR.match(line)))
        return next(named, next((line for line in lines if line), None))

    def restarts(self, job: ClusterJob) -> int:
        """How often the cluster has restarted the job. Raises as ``slots``."""
        return self._get(
            f"/jobs/{job.job_id}/metrics?get=numRestarts",
            lambda found: int(float(found[0]["value"])) if found else 0,
        )

    def checkpoints(self, job: ClusterJob) -> list[int]:
        """Sizes in bytes of the last completed checkpoints, the newest first. Raises as ``slots``."""
        return self._get(
            f"/jobs/{job.job_id}/checkpoints",
            lambda found: [
                int(item["state_size"]) for item in found.get("history", []) if item["status"] == "COMPLETED"
            ],
        )

    def cancel(self, job: ClusterJob) -> None:
        """Ask for the job's end; one that has ended is no error. Raises as ``slots``."""
        path = f"/jobs/{job.job_id}"
        try:
            answer = self._client.patch(path, params={"mode": "cancel"})
        except _NO_ANSWER as error:
            raise self._unreachable(error) from error
        if answer.is_error and answer.status_code not in _ENDED:
            raise self._refused(answer, path)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _get(self, path: str, read: Callable[[Any], Found]) -> Found:
        """What ``read`` finds in the answer's JSON."""
        try:
            answer = self._client.get(path)
        except _NO_ANSWER as error:
            raise self._unreachable(error) from error
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise self._unreachable("it is still starting")
        if answer.is_error:
            raise self._refused(answer, path)
        try:
            return read(answer.json())
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise StorageError(
                f"What answers at {self.address} is not Flink's job manager: its answer to {path} is of another form.",
                cure="Check [flink] master (or --flink-master): it is the address of Flink's REST interface.",
            ) from error

    def _refused(self, answer: httpx.Response, path: str) -> StorageError:
        return StorageError(
            f"Flink's job manager at {self.address} answered {answer.status_code} to {path}.",
            cure="Check that the address is that of Flink's REST interface, and the job manager's log.",
        )

    def _unreachable(self, why: object) -> UnreachableError:
        return UnreachableError(
            f"Flink's job manager at {self.address} does not answer: {why}.",
            cure="Check [flink] master (or --flink-master) and that the cluster runs.",
        )


def require_parts(cluster: Cluster, flink: FlinkSettings) -> None:
    """Everything answers that can be asked from here: a job without workers would hang, saying nothing.

    A pool on loopback stands beside each task manager, on the loopback of that machine or pod: from another machine
    than the job manager's nobody can ask it, and on this one's loopback there is none.

    Raises:
        UnreachableError: a part does not answer.
        StorageError: there are too few task slots.
    """
    if (slots := cluster.slots()) < flink.parallelism:
        raise StorageError(
            f"The cluster offers {slots} task slots, the job needs {flink.parallelism}.",
            cure="Start more task managers, or lower [flink] parallelism.",
        )
    asked = [("job server", flink.job_server)]
    if not _on_loopback(flink.workers) or _on_loopback(flink.master):
        asked.append(("worker pool", flink.workers))
    for what, address in asked:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, OverflowError, UnicodeError) as error:
            raise UnreachableError(
                f"The {what} at {address} does not answer: {error}.",
                cure="Start it, or correct its address in [flink]; docs/deploy-flink.md shows the parts.",
            ) from error


def _on_loopback(address: str) -> bool:
    host = address.rpartition(":")[0]
    return host == "localhost" or host.startswith("127.")
