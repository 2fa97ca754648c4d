"""A run on a Flink cluster: submits the graph, watches over the job, and submits it anew when the cluster has lost it.

The cluster keeps nothing that cannot be lost (the catalogue holds the cursors), so that a job manager without high
availability, an upgrade or a changed parallelism need no savepoint: whatever starts next goes on at the cursors.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from errors import LiucunError, StorageError, UnreachableError, UsageError
from pipelines.beam import PipelineOptions, beam
from pipelines.elements import register_coders
from pipelines.graph import archive_stream
from pipelines.rules_in_force import JobRules
from pipelines.runners.account import committed_since
from pipelines.runners.cluster import Cluster, ClusterJob
from pipelines.runners.lanes import ReadLanes
from pipelines.runners.settings import FlinkSettings
from pipelines.sources.kafka import KafkaLag
from pipelines.sources.spec import SourceSpec
from pipelines.stores import StoreRef
from pipelines.summary import RunSummary
from retention.store import Store

POLL_SECONDS: Final = 0.5
REPORT_SECONDS: Final = 2.0
LOST_SECONDS: Final = 5.0
"""How long the job manager must have been without the job before it is submitted anew."""
START_SECONDS: Final = 120.0
"""How long the first submission may take until the job runs."""

_QUIET = ("apache_beam", "apache_beam.options.pipeline_options", "apache_beam.runners.portability.portable_runner")
_LOG = logging.getLogger(__name__)


class FlinkJob:
    """Runs declared Kafka sources on a cluster until they are done or it is stopped; the ``Job`` of a cluster."""

    def __init__(
        self,
        store: Store,
        specs: Sequence[SourceSpec],
        flink: FlinkSettings,
        *,
        follow: bool,
        max_seconds: float | None,
        batch_bytes: int,
        rules: JobRules | None,
    ) -> None:
        files = [spec.name for spec in specs if spec.kind != "kafka"]
        if files:
            raise UsageError(
                f"Flink reads Kafka only; of files: {', '.join(files)}.",
                cure="Run files with the embedded engine (without --runner flink), and name the others with --source.",
            )
        self.summary = RunSummary()
        self.problems: list[str] = []
        self.submissions = 0
        self._store = store
        self._specs = {spec.name: spec for spec in specs}
        self._flink = flink
        self._follow = follow
        self._max_seconds = max_seconds
        self._batch_bytes = batch_bytes
        self._rules = rules
        self._stop = threading.Event()
        self._cluster = Cluster(flink.master)
        self._lag = KafkaLag(specs, store.catalogue)
        self._began = datetime.now(UTC)

    def stop(self) -> None:
        """End the run; safe to call from a signal handler."""
        self._stop.set()

    def run(self, progress: Callable[[RunSummary, int], None] | None = None) -> RunSummary:
        """Submit the job and watch over it. What is committed when it ends stays; the next run goes on from there.

        Raises:
            UnreachableError: a part of the cluster did not answer at the start.
            LiucunError: the job cannot run at all.
        """
        self._began = datetime.now(UTC)
        # An archive whose history was changed takes nothing in: its cursors may be wrong too.
        self._store.log.keep()
        self._check_parts()
        name = self._submit()
        try:
            self._watch(name, progress)
        finally:
            self._end(name)
            self._count()
            self._cluster.close()
            self._lag.close()
        return self.summary

    # Submission

    def _check_parts(self) -> None:
        """Everything answers before the job is built: a job without workers would hang, saying nothing."""
        if self._cluster.slots() < self._flink.parallelism:
            raise StorageError(
                f"The cluster offers {self._cluster.slots()} task slots, the job needs {self._flink.parallelism}.",
                cure="Start more task managers, or lower [flink] parallelism.",
            )
        for what, address in (("job server", self._flink.job_server), ("worker pool", self._flink.workers)):
            host, _, port = address.rpartition(":")
            try:
                socket.create_connection((host, int(port)), timeout=10).close()
            except OSError as error:
                raise UnreachableError(
                    f"The {what} at {address} does not answer: {error}.",
                    cure="Start it, or correct its address in [flink]; docs/deploy-flink.md shows the parts.",
                ) from error

    def _submit(self) -> str:
        job = uuid.uuid4().hex[:12]
        name = f"liucun-{job}"
        register_coders()
        for logger in _QUIET:
            logging.getLogger(logger).setLevel(logging.ERROR)
        ref = StoreRef(str(self._store.root.resolve()), self._store.settings)
        lanes = self._flink.lanes or self._flink.parallelism
        pipeline = beam.Pipeline(options=self._options(name))
        batches = pipeline | ReadLanes(ref, self._specs, job, lanes, self._flink.parallelism, self._batch_bytes)
        archive_stream(batches, ref, self._specs, job, self._rules)
        try:
            pipeline.run()
        except Exception as error:
            raise UnreachableError(
                f"The job could not be submitted through {self._flink.job_server}: {error}",
                cure="Look into the job server's log; its Flink version must be the cluster's.",
            ) from error
        self.submissions += 1
        return name

    def _options(self, name: str) -> Any:
        flink = self._flink
        return PipelineOptions(
            flags=[],
            runner="PortableRunner",
            job_name=name,
            job_endpoint=flink.job_server,
            flink_master=flink.master,
            environment_type="EXTERNAL",
            environment_config=flink.workers,
            streaming=True,
            parallelism=flink.parallelism,
            sdk_worker_parallelism=flink.parallelism,
            checkpointing_interval=flink.checkpoint_seconds * 1000,
            max_bundle_time_mills=200,
        )

    # Watching

    def _watch(self, name: str, progress: Callable[[RunSummary, int], None] | None) -> None:
        reported, missing, ran = 0.0, None, False
        started = time.monotonic()
        while not self._over():
            self._stop.wait(POLL_SECONDS)
            if time.monotonic() - reported < REPORT_SECONDS:
                continue
            reported = time.monotonic()
            self._store.log.keep(ending=False)
            job = self._look(name)
            if job is not None and job.alive:
                ran, missing = ran or job.state == "RUNNING", None
            elif not ran and time.monotonic() - started > START_SECONDS:
                raise self._failed(job)
            else:
                missing = missing or time.monotonic()
                if ran and time.monotonic() - missing >= LOST_SECONDS:
                    name, missing = self._again(name), None
            waiting = self._waiting()
            if progress:
                self._count()
                progress(self.summary, waiting or 0)
            if waiting == 0 and not self._follow:
                return

    def _look(self, name: str) -> ClusterJob | None:
        """The job as the cluster knows it, None when it is lost or the cluster does not answer."""
        try:
            return self._cluster.job(name)
        except LiucunError as error:
            self._problem(error.what)
            return None

    def _again(self, name: str) -> str:
        """Submit the job anew once the whole cluster answers; the old name until then."""
        try:
            self._check_parts()
            if (job := self._cluster.job(name)) is not None and job.alive:
                return name
            self._problem(f"the cluster lost the job {name}; it was submitted anew")
            return self._submit()
        except LiucunError as error:
            self._problem(error.what)
            return name

    def _failed(self, job: ClusterJob | None) -> LiucunError:
        cause = self._cluster.root_cause(job) if job is not None else None
        return StorageError(
            f"The job did not come to run on the cluster: {cause or 'the cluster does not know it'}.",
            cure="Look into the job manager's, the task managers' and the worker pool's logs.",
        )

    def _waiting(self) -> int | None:
        """Bytes that wait in Kafka, about; None while the brokers do not answer."""
        try:
            return self._lag.bytes()
        except LiucunError as error:
            self._problem(error.what)
            return None

    def _end(self, name: str) -> None:
        """Cancel the job: every batch is committed or not at all, so there is nothing to wait for."""
        job = self._look(name)
        if job is not None and job.alive:
            if cause := self._cluster.root_cause(job):
                self._problem(f"the job restarted at least once: {cause}")
            self._cluster.cancel(job)
            deadline = time.monotonic() + 30.0
            while (job := self._look(name)) is not None and job.alive and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)

    def _problem(self, what: str) -> None:
        if what not in self.problems:
            self.problems.append(what)
            _LOG.warning("%s", what)

    def _count(self) -> None:
        fresh = RunSummary(started=self.summary.started)
        fresh.add([committed_since(self._store.catalogue, list(self._specs), self._began)])
        self.summary = fresh

    def _over(self) -> bool:
        limit = self._max_seconds
        return self._stop.is_set() or (limit is not None and time.monotonic() - self.summary.started >= limit)
