"""A stand-in for a Flink cluster, for tests of what watches over jobs and ends them."""

from __future__ import annotations

from pipelines.runners.cluster import ClusterJob


class StandIn:
    """A cluster that runs whatever it is given; ``said`` is what was asked of it, in order."""

    def __init__(self) -> None:
        self.running: list[str] = ["liucun-of-an-earlier-run"]
        self.said: list[str] = []

    def slots(self) -> int:
        return 8

    def slots_each(self) -> int:
        return 8

    def jobs(self, prefix: str = "") -> list[ClusterJob]:
        return [ClusterJob(name, name, "RUNNING", 0) for name in self.running]

    def job(self, name: str) -> ClusterJob | None:
        return ClusterJob(name, name, "RUNNING" if name in self.running else "CANCELED", 0)

    def restarts(self, job: ClusterJob) -> int:
        return 0

    def cancel(self, job: ClusterJob) -> None:
        self.said.append(f"cancel {job.name}")
        self.running.remove(job.name)

    def close(self) -> None:
        self.said.append("close")
