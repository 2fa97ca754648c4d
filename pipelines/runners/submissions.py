"""The jobs that one run has on a Flink cluster, one after the other: submitted, looked for, ended and taken back."""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from errors import LiucunError, UnreachableError
from pipelines.beam import PipelineOptions, beam
from pipelines.elements import register_coders
from pipelines.graph import archive_stream
from pipelines.rules_in_force import JobRules
from pipelines.runners.cluster import Cluster, ClusterJob, require_parts
from pipelines.runners.lanes import ReadLanes
from pipelines.runners.settings import FlinkSettings
from pipelines.sources.spec import SourceSpec
from pipelines.stores import StoreRef
from retention.store import Store
from tickets.telling import Opening

END_SECONDS: Final = 30.0
LATE_SECONDS: Final = 60.0
"""How long a submission that was taken back is waited for: on a busy machine it may be on its way."""
STAGES: Final = 3
"""Python stages of the job on Flink: two small ones wake the lanes, one does everything else."""
_POLL_SECONDS: Final = 0.5

_QUIET = ("apache_beam", "apache_beam.options.pipeline_options", "apache_beam.runners.portability.portable_runner")


class Submissions:
    """Submits the graph over ``specs``, and knows the jobs that came of it. One thread at a time.

    ``problem`` is told what went wrong where the run goes on nevertheless. The first job begins at ``savepoint``, if
    there is one.
    """

    def __init__(
        self,
        store: Store,
        specs: Mapping[str, SourceSpec],
        flink: FlinkSettings,
        cluster: Cluster,
        *,
        batch_bytes: int,
        rules: JobRules | None,
        opening: Opening,
        savepoint: str | None,
        problem: Callable[[str], None],
    ) -> None:
        whose = "\n".join([str(store.root.resolve()), *sorted(specs)])
        self._prefix = f"liucun-{hashlib.sha256(whose.encode()).hexdigest()[:10]}-"
        self._store = store
        self._specs = specs
        self._flink = flink
        self._cluster = cluster
        self._batch_bytes = batch_bytes
        self._rules = rules
        self._opening = opening
        self._savepoint = savepoint
        self._problem = problem
        self._names: list[str] = []
        self._submission: Any = None

    def submit(self) -> None:
        """Submit the graph as a new job.

        Raises:
            UnreachableError: the job server did not take it.
            LiucunError: the job cannot run at all.
        """
        job = uuid.uuid4().hex[:12]
        name = f"{self._prefix}{job}"
        register_coders()
        for logger in _QUIET:
            logging.getLogger(logger).setLevel(logging.ERROR)
        ref = StoreRef(str(self._store.root.resolve()), self._store.settings)
        lanes = self._flink.lanes or self._flink.parallelism
        pipeline = beam.Pipeline(options=self._options(name))
        batches = pipeline | ReadLanes(ref, self._specs, job, lanes, self._flink.parallelism, self._batch_bytes)
        archive_stream(batches, ref, self._specs, job, self._rules, self._opening)
        try:
            self._submission = pipeline.run()
        except LiucunError:
            raise
        except Exception as error:  # Beam, gRPC and the job server have no common class
            raise UnreachableError(
                f"The job could not be submitted through {self._flink.job_server}: {error}",
                cure="Look into the job server's log; its Flink version must be the cluster's.",
            ) from error
        self._names.append(name)

    def _options(self, name: str) -> Any:
        flink = self._flink
        # Once: a job that the cluster lost goes on at the cursors. What another version kept for stages that are no
        # more is let go.
        savepoint, self._savepoint = self._savepoint, None
        restored = [f"--savepoint_path={savepoint}", "--allow_non_restored_state"] if savepoint else []
        return PipelineOptions(
            flags=restored,
            runner="PortableRunner",
            job_name=name,
            job_endpoint=flink.job_server,
            flink_master=flink.master,
            environment_type="EXTERNAL",
            environment_config=flink.workers,
            streaming=True,
            parallelism=flink.parallelism,
            # Stages are dealt out to worker processes in turn: with fewer, two lanes could share one and its GIL.
            sdk_worker_parallelism=STAGES * min(flink.parallelism, self._cluster.slots_each()),
            checkpointing_interval=flink.checkpoint_seconds * 1000,
            # A lane's timer is fired, and set anew, where a bundle ends: between two turns it waits for that twice.
            max_bundle_time_mills=20,
        )

    def again(self) -> bool:
        """Submit the job anew if the whole cluster answers and does not know it; says whether it did."""
        try:
            require_parts(self._cluster, self._flink)
            if (job := self._cluster.job(self._names[-1])) is not None and job.alive:
                return False
            self.submit()
        except LiucunError as error:
            self._problem(error.what)
            return False
        self._problem(f"the cluster lost the job {self._names[-2]}; it was submitted anew")
        return True

    def newest(self) -> ClusterJob | None:
        """The last job as the cluster knows it, None when it is lost or the cluster does not answer."""
        return self._look(self._names[-1])

    def end_earlier(self) -> None:
        """End what an earlier run of the same sources left behind.

        It would do the same work beside this one, to no harm but in its way.

        Raises:
            UnreachableError: the cluster does not answer.
        """
        self._end(self._cluster.jobs(self._prefix))

    def end(self) -> None:
        """End every job of this run, and what was submitted and is not shown yet."""
        shown = {name: job for name in self._names if (job := self._look(name)) is not None}
        self._end(list(shown.values()))
        if self._names[-1] not in shown:
            self._withdraw()

    def _look(self, name: str) -> ClusterJob | None:
        try:
            return self._cluster.job(name)
        except LiucunError as error:
            self._problem(error.what)
            return None

    def _end(self, jobs: list[ClusterJob]) -> None:
        """Cancel jobs: every batch is committed or not at all, so there is nothing to wait for."""
        found = [job for job in jobs if job.alive]
        for job in found:
            try:
                self._cluster.cancel(job)
            except LiucunError as error:
                self._problem(f"the job {job.name} may still run: {error.what}")
        until = time.monotonic() + END_SECONDS
        while any((now := self._look(old.name)) is not None and now.alive for old in found):
            if time.monotonic() > until:
                self._problem(f"the cluster has not ended the job after {END_SECONDS:.0f} s; look at its job manager")
                return
            time.sleep(_POLL_SECONDS)

    def _withdraw(self) -> None:
        """Take back a submission that the cluster has not shown, so that it does not run with nobody watching."""
        if self.newest() is None:
            try:
                self._submission.cancel()
            except Exception as error:  # noqa: BLE001 - gRPC and the job server have no common class; it is told
                self._problem(f"the submission of {self._names[-1]} could not be taken back: {error}")
        until = time.monotonic() + LATE_SECONDS
        while (job := self.newest()) is None:
            if time.monotonic() > until:
                return
            time.sleep(_POLL_SECONDS)
        self._end([job])
