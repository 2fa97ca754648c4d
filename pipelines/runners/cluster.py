"""The Flink cluster's REST interface: which of our jobs run there, how they fare, and their end."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Any, Final

import httpx

from errors import StorageError, UnreachableError
from pipelines.runners.settings import FlinkSettings

ALIVE: Final = frozenset({"INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING", "RECONCILING", "SUSPENDED"})
_SECONDS: Final = 10.0
_PYTHON_ERROR: Final = re.compile(r"(?!java\.|org\.)[A-Za-z_][\w.]*Error: \S.*")


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
        """
        return int(self._get("/overview")["slots-total"])

    def slots_each(self) -> int:
        """The most slots that one task manager has, at least 1. Raises as ``slots``."""
        managers = self._get("/taskmanagers")["taskmanagers"]
        return max((int(item["slotsNumber"]) for item in managers), default=1)

    def jobs(self, prefix: str = "") -> list[ClusterJob]:
        """Jobs whose names begin so, ended ones included. Raises as ``slots``."""
        return [
            ClusterJob(item["jid"], item["name"], item["state"], int(item["start-time"]))
            for item in self._get("/jobs/overview")["jobs"]
            if item["name"].startswith(prefix)
        ]

    def job(self, name: str) -> ClusterJob | None:
        """The newest job of this name, None when the job manager knows none. Raises as ``slots``."""
        found = [job for job in self.jobs(name) if job.name == name]
        return max(found, key=lambda job: (job.alive, job.began), default=None)

    def root_cause(self, job: ClusterJob) -> str | None:
        """The last line that says why a job failed or restarts. Raises as ``slots``."""
        entries = self._get(f"/jobs/{job.job_id}/exceptions").get("exceptionHistory", {}).get("entries", [])
        if not entries:
            return None
        lines = [line.strip() for line in str(entries[0].get("stacktrace", "")).splitlines()]
        # A Python worker's traceback says the error itself; the Java frames around it only that there was one.
        named = (found.group(0) for line in lines if (found := _PYTHON_ERROR.match(line)))
        return next(named, next((line for line in lines if line), None))

    def restarts(self, job: ClusterJob) -> int:
        """How often the cluster has restarted the job. Raises as ``slots``."""
        found = self._get(f"/jobs/{job.job_id}/metrics?get=numRestarts")
        return int(float(found[0]["value"])) if found else 0

    def checkpoints(self, job: ClusterJob) -> list[int]:
        """Sizes in bytes of the last completed checkpoints, the newest first. Raises as ``slots``."""
        history = self._get(f"/jobs/{job.job_id}/checkpoints").get("history", [])
        return [int(item["state_size"]) for item in history if item["status"] == "COMPLETED"]

    def cancel(self, job: ClusterJob) -> None:
        """Ask for the job's end. Raises as ``slots``."""
        try:
            self._client.patch(f"/jobs/{job.job_id}", params={"mode": "cancel"})
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _get(self, path: str) -> Any:
        try:
            answer = self._client.get(path)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise self._unreachable("it is still starting")
        if answer.is_error:
            raise StorageError(
                f"Flink's job manager at {self.address} answered {answer.status_code} to {path}.",
                cure="Check that the address is that of Flink's REST interface, and the job manager's log.",
            )
        return answer.json()

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
        except (OSError, OverflowError) as error:
            raise UnreachableError(
                f"The {what} at {address} does not answer: {error}.",
                cure="Start it, or correct its address in [flink]; docs/deploy-flink.md shows the parts.",
            ) from error


def _on_loopback(address: str) -> bool:
    host = address.rpartition(":")[0]
    return host == "localhost" or host.startswith("127.")
