"""A run on a Flink cluster: watches over its job, counts what it commits, and has it submitted anew when it is lost.

The cluster keeps nothing that cannot be lost (the catalogue holds the cursors), so that a job manager without high
availability, an upgrade or a changed parallelism need no savepoint: whatever starts next goes on at the cursors.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from errors import BusyError, LiucunError, NotPermittedError, StorageError, UnreachableError, UsageError
from pipelines.rules_in_force import JobRules
from pipelines.runners.account import Account, Pace
from pipelines.runners.cluster import Cluster, ClusterJob, require_parts
from pipelines.runners.settings import FlinkSettings, require_no_password
from pipelines.runners.submissions import Submissions
from pipelines.sources.kafka import PATIENCE_SECONDS, KafkaLag
from pipelines.sources.spec import SourceSpec
from pipelines.summary import RunSummary
from retention.store import Store
from tickets.telling import AS_SHIPPED, Opening

POLL_SECONDS: Final = 0.5
REPORT_SECONDS: Final = 2.0
LOST_SECONDS: Final = 5.0
"""How long the job manager must have been without the job before it is submitted anew."""
START_SECONDS: Final = 120.0
"""How long the first submission may take until the job runs."""

MEAN_BYTES: Final = 256
"""What a message is taken to weigh: the catalogue counts none of their bytes."""
MOST_RESTARTS: Final = 5
COUNT_SHARE: Final = 0.05
"""The share of the time that may go into counting what is committed."""


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
        self._stuck: tuple[tuple[object, ...], int] = ((), 0)
        self._store = store
        self._specs = {spec.name: spec for spec in specs}
        self._flink = flink
        self._follow = follow
        self._max_seconds = max_seconds
        self._stop = threading.Event()
        self._cluster = Cluster(flink.master)
        self._jobs = Submissions(
            store,
            self._specs,
            flink,
            self._cluster,
            batch_bytes=batch_bytes,
            rules=rules,
            opening=opening,
            savepoint=savepoint,
            problem=self._problem,
        )
        self._lag = KafkaLag(specs, store.catalogue)
        self._behind: Mapping[tuple[str, str], int] = {}
        self._lost: Counter[str] = Counter()
        self._account: Account | None = None
        self._counting = Pace(COUNT_SHARE)
        self._batches = -1
        self._answered = 0.0

    def stop(self) -> None:
        """End the run; from any thread, but not from a signal handler (``stopping``)."""
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
            self._jobs.end_earlier()
            self._jobs.submit()
            try:
                self._watch(progress)
            finally:
                self._jobs.end()
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
        """How many topics are missing, and losses and condemned records were put on record in this run, by source."""
        return self._lost + Counter({name: len(topics) for name, topics in self._lag.missing.items()})

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
            job = self._jobs.newest()
            if job is not None and job.alive:
                seen, missing = True, None
                ever = ever or job.state == "RUNNING"
            elif not ever and (job is not None or now - submitted > START_SECONDS):
                raise self._failed(job)
            else:
                missing = missing or now
                # The cluster shows a job some seconds after its submission.
                if now - missing >= (LOST_SECONDS if seen or job is not None else START_SECONDS):
                    missing, seen = None, seen and not self._jobs.again()
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
            marks = self._account.marks() if self._account is not None and restarts else None
        except LiucunError as error:
            self._problem(error.what)
            return
        if cause:
            self._problem(f"the job restarted: {cause}")
        # Workers that die over a message commit nothing until it stands alone; their marks show that it comes to that.
        state = (job.job_id, waiting, marks)
        if state != self._stuck[0]:
            self._stuck = (state, restarts)
        elif not self._follow and restarts - self._stuck[1] >= MOST_RESTARTS:
            raise self._failed(job)

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
        """Say what the workers put on record as lost or condemned: they have nobody to tell."""
        try:
            found = self._account.losses() if self._account is not None else []
            condemned = self._account.condemned() if self._account is not None else []
        except LiucunError as error:
            self._problem(error.what)
            return
        self._lost = Counter(source for source, _ in found) + Counter(source for source, _ in condemned)
        for _, loss in found:
            self._problem(f"{loss.partition}: {loss}")
        for _, problem in condemned:
            self._problem(str(problem))

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
