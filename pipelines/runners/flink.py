"""A run on a Flink cluster: submits the graph, watches over the job, and submits it anew when the cluster has lost it.

The cluster keeps nothing that cannot be lost (the catalogue holds the cursors), so that a job manager without high
availability, an upgrade or a changed parallelism need no savepoint: whatever starts next goes on at the cursors.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from errors import BusyError, LiucunError, NotPermittedError, StorageError, UnreachableError, UsageError
from pipelines.beam import PipelineOptions, beam
from pipelines.elements import register_coders
from pipelines.graph import archive_stream
from pipelines.rules_in_force import JobRules
from pipelines.runners.account import Account, Pace
from pipelines.runners.cluster import Cluster, ClusterJob, require_parts
from pipelines.runners.lanes import ReadLanes
from pipelines.runners.settings import FlinkSettings, require_no_password
from pipelines.sources.kafka import PATIENCE_SECONDS, KafkaLag
from pipelines.sources.spec import SourceSpec
from pipelines.stores import StoreRef
from pipelines.summary import RunSummary
from retention.store import Store
from tickets.telling import AS_SHIPPED, Opening

POLL_SECONDS: Final = 0.5
REPORT_SECONDS: Final = 2.0
LOST_SECONDS: Final = 5.0
"""How long the job manager must have been without the job before it is submitted anew."""
START_SECONDS: Final = 120.0
"""How long the first submission may take until the job runs."""

END_SECONDS: Final = 30.0
MEAN_BYTES: Final = 256
"""What a message is taken to weigh: the catalogue counts none of their bytes."""
LATE_SECONDS: Final = 60.0
"""How long a submission that was taken back is waited for: on a busy machine it may be on its way."""
MOST_RESTARTS: Final = 5
COUNT_SHARE: Final = 0.05
"""The share of the time that may go into counting what is committed."""
STAGES: Final = 3
"""Python stages of the job on Flink: two small ones wake the lanes, one does everything else."""

_QUIET = ("apache_beam", "apache_beam.options.pipeline_options", "apache_beam.runners.portability.portable_runner")


class FlinkJob:
    """Runs declared Kafka sources on a cluster until they are done or it is stopped; the ``Job`` of a cluster.

    ``say`` is told at once, and once, what went wrong on the way; ``problems`` keeps it.
    """

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
        opening: Opening = AS_SHIPPED,
        savepoint: str | None = None,
        say: Callable[[str], None] = lambda _what: None,
    ) -> None:
        files = [spec.name for spec in specs if spec.kind != "kafka"]
        if files:
            raise UsageError(
                f"Flink reads Kafka only; of files: {', '.join(files)}.",
                cure="Run files with the embedded engine (without --runner flink), and name the others with --source.",
            )
        require_no_password(store.settings)
        self.summary = RunSummary()
        self.problems: list[str] = []
        self._say = say
        self._savepoint = savepoint
        self._names: list[str] = []
        self._submission: Any = None
        self._stuck: tuple[tuple[str, int | None], int] = (("", None), 0)
        whose = "\n".join([str(store.root.resolve()), *sorted(spec.name for spec in specs)])
        self._prefix = f"liucun-{hashlib.sha256(whose.encode()).hexdigest()[:10]}-"
        self._store = store
        self._specs = {spec.name: spec for spec in specs}
        self._flink = flink
        self._follow = follow
        self._max_seconds = max_seconds
        self._batch_bytes = batch_bytes
        self._rules = rules
        self._opening = opening
        self._stop = threading.Event()
        self._cluster = Cluster(flink.master)
        self._lag = KafkaLag(specs, store.catalogue)
        self._behind: Mapping[tuple[str, str], int] = {}
        self._lost: Counter[str] = Counter()
        self._account: Account | None = None
        self._counting = Pace(COUNT_SHARE)
        self._batches = -1
        self._answered = 0.0

    def stop(self) -> None:
        """End the run; safe to call from a signal handler."""
        self._stop.set()

    def run(self, progress: Callable[[RunSummary, int], None] | None = None) -> RunSummary:
        """Submit the job and watch over it. What is committed when it ends stays; the next run goes on from there.

        Raises:
            UnreachableError: a part of the cluster, or the brokers, did not answer at the start.
            NotPermittedError: the brokers refuse this client.
            LiucunError: the job cannot run at all.
        """
        try:
            # An archive whose history was changed takes nothing in: its cursors may be wrong too.
            self._store.log.keep()
            self._account = Account(self._store.catalogue, self._specs)
            # Before the job of an earlier run is ended: what cannot begin leaves that at work.
            require_parts(self._cluster, self._flink)
            self._behind = self._lag.messages()
            self._answered = time.monotonic()
            self._end(self._cluster.jobs(self._prefix))
            self._submit()
            try:
                self._watch(progress)
            finally:
                self._end(self._ours())
                self._withdraw()
                self._losses()
                self._count(ending=True)
        finally:
            self._cluster.close()
            self._lag.close()
        return self.summary

    def lags(self) -> Mapping[tuple[str, str], int]:
        """Offsets not archived when the brokers were last asked, by source and partition."""
        return self._behind

    def unreadable(self) -> Mapping[str, int]:
        """How many topics are missing, and losses were put on record since the run began, by source."""
        return self._lost + Counter({name: len(topics) for name, topics in self._lag.missing.items()})

    # Submission

    def _submit(self) -> None:
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

    # Watching

    def _watch(self, progress: Callable[[RunSummary, int], None] | None) -> None:
        reported, missing, ever, seen = 0.0, None, False, False
        submitted = time.monotonic()
        while not self._over():
            self._stop.wait(POLL_SECONDS)
            now = time.monotonic()
            if now - reported < REPORT_SECONDS:
                continue
            reported = now
            self._number()
            job = self._look(self._names[-1])
            if job is not None and job.alive:
                seen, missing = True, None
                ever = ever or job.state == "RUNNING"
            elif not ever and (job is not None or now - submitted > START_SECONDS):
                raise self._failed(job)
            else:
                missing = missing or now
                # The cluster shows a job some seconds after its submission.
                if now - missing >= (LOST_SECONDS if seen or job is not None else START_SECONDS):
                    missing, seen = None, seen and not self._again()
            waiting = self._waiting()
            self._losses()
            if job is not None and job.alive:
                self._fares(job, waiting)
            if self._count() and waiting is not None and self._goes_on(job, waiting) and progress:
                progress(self.summary, waiting)
            if waiting == 0 and not self._follow:
                return

    def _number(self) -> None:
        """Bring the transparency log up to date; a database that is away for a while does not end the run."""
        try:
            self._store.log.keep(ending=False)
        except (UnreachableError, BusyError, StorageError) as error:
            self._problem(error.what)

    def _fares(self, job: ClusterJob, waiting: int | None) -> None:
        """Say why a job restarts; end a run that only does that.

        Raises:
            StorageError: the run does not follow, and the job restarted ``MOST_RESTARTS`` times without a commit.
        """
        try:
            restarts = self._cluster.restarts(job)
            cause = self._cluster.root_cause(job) if restarts else None
        except LiucunError as error:
            self._problem(error.what)
            return
        if cause:
            self._problem(f"the job restarted: {cause}")
        if (job.job_id, waiting) != self._stuck[0]:
            self._stuck = ((job.job_id, waiting), restarts)
        elif not self._follow and restarts - self._stuck[1] >= MOST_RESTARTS:
            raise self._failed(job)

    def _look(self, name: str) -> ClusterJob | None:
        """The job as the cluster knows it, None when it is lost or the cluster does not answer."""
        try:
            return self._cluster.job(name)
        except LiucunError as error:
            self._problem(error.what)
            return None

    def _again(self) -> bool:
        """Submit the job anew if the whole cluster answers and does not know it; says whether it did."""
        try:
            require_parts(self._cluster, self._flink)
            if (job := self._cluster.job(self._names[-1])) is not None and job.alive:
                return False
            self._submit()
        except LiucunError as error:
            self._problem(error.what)
            return False
        self._problem(f"the cluster lost the job {self._names[-2]}; it was submitted anew")
        return True

    def _failed(self, job: ClusterJob | None) -> LiucunError:
        cause = self._cluster.root_cause(job) if job is not None else None
        return StorageError(
            f"The job does not run on the cluster: {cause or 'the cluster does not know it'}.",
            cure="Look into the job manager's, the task managers' and the worker pool's logs.",
        )

    def _waiting(self) -> int | None:
        """Bytes that wait in Kafka, about; None while the brokers do not answer.

        Raises:
            NotPermittedError: they refuse this client.
            UnreachableError: the run does not follow, and they have been silent for too long.
        """
        try:
            self._behind = self._lag.messages()
        except NotPermittedError:
            raise
        except LiucunError as error:
            self._problem(error.what)
            if not self._follow and time.monotonic() - self._answered > PATIENCE_SECONDS:
                raise
            return None
        self._answered = time.monotonic()
        for missing in self._lag.missing.values():
            for topic in missing:
                self._problem(str(topic))
        return sum(self._behind.values()) * MEAN_BYTES

    def _losses(self) -> None:
        """Say what the workers put on record as lost: they have nobody to tell."""
        try:
            found = self._account.losses() if self._account is not None else []
        except LiucunError as error:
            self._problem(error.what)
            return
        self._lost = Counter(source for source, _ in found)
        for _, loss in found:
            self._problem(f"{loss.partition}: {loss}")

    def _ours(self) -> list[ClusterJob]:
        return [job for name in self._names if (job := self._look(name)) is not None]

    def _end(self, jobs: list[ClusterJob]) -> None:
        """Cancel jobs: every batch is committed or not at all, so there is nothing to wait for.

        One that an earlier run of the same sources left behind would do the same work beside this one, to no harm but
        in its way.
        """
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
            time.sleep(POLL_SECONDS)

    def _withdraw(self) -> None:
        """Take back a submission that the cluster has not shown, so that it does not run with nobody watching."""
        if self._look(self._names[-1]) is not None:
            return
        try:
            self._submission.cancel()
        except Exception as error:  # noqa: BLE001 - gRPC and the job server have no common class; it is told
            self._problem(f"the submission of {self._names[-1]} could not be taken back: {error}")
        until = time.monotonic() + LATE_SECONDS
        while (job := self._look(self._names[-1])) is None:
            if time.monotonic() > until:
                return
            time.sleep(POLL_SECONDS)
        self._end([job])

    def _problem(self, what: str) -> None:
        if what not in self.problems:
            self.problems.append(what)
            self._say(what)

    def _goes_on(self, job: ClusterJob | None, waiting: int) -> bool:
        """Whether the job runs and, if anything waits, has committed since the last look.

        One that stands, or does nothing but restart, must not pass for a run that goes round: monitors go by it.
        """
        before, self._batches = self._batches, self.summary.batches
        running = job is not None and job.state == "RUNNING"
        return running and (waiting == 0 or self.summary.batches != before)

    def _count(self, *, ending: bool = False) -> bool:
        """Count what is committed, unless that takes too much of the time; whether it was counted."""
        if self._account is None or not (ending or self._counting.due()):
            return False
        began = time.monotonic()
        try:
            self.summary = self._account.summary(self.summary.started)
        except LiucunError as error:
            self._problem(error.what)
            return False
        finally:
            self._counting.took(time.monotonic() - began)
        return True

    def _over(self) -> bool:
        limit = self._max_seconds
        return self._stop.is_set() or (limit is not None and time.monotonic() - self.summary.started >= limit)
