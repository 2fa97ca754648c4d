"""The supervisor of a job on Flink, with a stand-in for the cluster and librdkafka's mock brokers for Kafka's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from errors import LiucunError, NotPermittedError, SettingsError, StorageError, UnreachableError
from liucun.watching.run import RunMeters
from pipelines.runners import flink, submissions
from pipelines.runners.account import Account
from pipelines.runners.cluster import Cluster, ClusterJob, require_parts
from pipelines.runners.flink import FlinkJob
from pipelines.runners.settings import FlinkSettings, require_no_password
from pipelines.runners.submissions import Submissions
from pipelines.sources import kafka_reading
from pipelines.sources.kafka_ledger import Ledger, TopicPartition
from pipelines.sources.spec import SourceSpec
from pipelines.summary import RunSummary
from retention.store import Store, StoreSettings
from tests.pipelines.runners.stand_in import StandIn
from tests.pipelines.sources.mock_kafka import PARTITIONS, TOPIC, Brokers, spec


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()
    monkeypatch.setattr(flink, "Cluster", lambda address: made)
    monkeypatch.setattr(flink, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(flink, "REPORT_SECONDS", 0.0)
    for module in (flink, submissions):
        monkeypatch.setattr(module, "require_parts", lambda cluster, settings: None)

    def submit(self: Any) -> None:
        made.said.append("submit")
        made.running.append("liucun-of-this-run")
        self._names.append("liucun-of-this-run")

    monkeypatch.setattr(Submissions, "submit", submit)
    return made


def job(store: Store, *specs: SourceSpec, follow: bool = False, said: list[str] | None = None) -> FlinkJob:
    return FlinkJob(
        store,
        specs,
        FlinkSettings(),
        follow=follow,
        max_seconds=30,
        batch_bytes=1 << 20,
        rules=None,
        say=(said if said is not None else []).append,
    )


def archived(store: Store, brokers: Brokers, each: int) -> Ledger:
    """Every partition taken up, and its cursor put to ``each``, as by an earlier run."""
    from retention.catalogue.tables import partitions

    ledger = Ledger("k", store.catalogue)
    for number in range(PARTITIONS):
        ledger.take_up(TopicPartition(TOPIC, number), 0, each)
    with store.catalogue.write() as connection:
        connection.execute(partitions.update().values(cursor=each))
    return ledger


def look_on(running: FlinkJob, act: Callable[[int], None]) -> None:
    """Run it; after every look at the brokers, and once at the end, ``act`` is told how often that was."""
    looks, real = [0], running._losses

    def losses() -> None:
        real()
        looks[0] += 1
        act(looks[0])
        if looks[0] > 20:
            running.stop()

    running._losses = losses  # type: ignore[method-assign]
    running.run()


def test_a_run_says_how_far_each_partition_is_behind(store: Store, brokers: Brokers, cluster: StandIn) -> None:
    brokers.write(40)
    running = job(store, spec(brokers.address), follow=True)
    meters = RunMeters(store.root)
    meters.behind, meters.problems = running.lags, running.unreadable

    def look(round_: int) -> None:
        meters.round(running.summary, 0)
        running.stop()

    look_on(running, look)
    labels = {"source": "k", "partition": f"{TOPIC}/2"}
    assert meters.registry.get_sample_value("liucun_lag", labels) == 10
    assert running.problems == []
    meters.close()


def test_what_the_workers_lost_is_said_at_once_and_counted(store: Store, brokers: Brokers, cluster: StandIn) -> None:
    """A lane puts a loss on record and has nobody to tell; one of an earlier run is no news."""
    brokers.write(40)
    ledger = archived(store, brokers, 4)
    old, _ = ledger.take_up(TopicPartition(TOPIC, 3), 6, 10)
    ledger.overtaken(old, 6)
    said: list[str] = []
    running = job(store, spec(brokers.address), follow=True, said=said)

    def lose(round_: int) -> None:
        if round_ == 1:
            behind, _ = ledger.take_up(TopicPartition(TOPIC, 1), 7, 10)
            ledger.overtaken(behind, 7)
        elif said:
            running.stop()

    look_on(running, lose)
    assert said == [
        f"{TOPIC}/1#1: offsets 4 to 7 were never archived: the topic's retention overtook the cursor",
    ]
    assert (running.problems, running.unreadable()) == (said, {"k": 1})


def test_a_topic_that_is_not_there_is_said_until_it_comes(
    store: Store, brokers: Brokers, cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers.write(4)
    there = kafka_reading.KafkaReader.partitions
    hidden = [True]
    monkeypatch.setattr(
        kafka_reading.KafkaReader, "partitions", lambda self: [] if hidden[0] else there(self)
    )  # the mock brokers make whatever topic they are asked for
    running = job(store, spec(brokers.address), follow=True)
    seen: list[dict[str, int]] = []

    def look(round_: int) -> None:
        seen.append(dict(running.unreadable()))
        hidden[0] = round_ < 2
        if round_ == 3:
            running.stop()

    look_on(running, look)
    assert running.problems == [f"{TOPIC}: there is no such topic (yet)"]
    assert (seen[0], seen[-1]) == ({"k": 1}, {})


def test_a_run_does_not_end_over_a_loss_that_nobody_has_put_on_record(
    store: Store, brokers: Brokers, cluster: StandIn
) -> None:
    """The topic was made anew and is shorter than the cursor: all of it waits, none of it counts as read."""
    brokers.write(8)
    ledger = archived(store, brokers, 100)
    running = job(store, spec(brokers.address))
    behind: list[int] = []

    def work(round_: int) -> None:
        behind.append(sum(running.lags().values()))
        if round_ == 3:
            for number in range(PARTITIONS):
                ledger.take_up(TopicPartition(TOPIC, number), 2, 2)

    look_on(running, work)
    assert behind[:3] == [8, 8, 8]
    assert behind[-1] == 0
    assert running.unreadable() == {"k": PARTITIONS}


@pytest.mark.parametrize("kind", [UnreachableError, NotPermittedError])
def test_brokers_that_are_away_or_refuse_end_the_run_before_it_touches_the_cluster(
    store: Store, cluster: StandIn, monkeypatch: pytest.MonkeyPatch, kind: type[LiucunError]
) -> None:
    def fail(self: object) -> None:
        raise kind("No.", cure="-")

    monkeypatch.setattr(kafka_reading.KafkaReader, "partitions", fail)
    with pytest.raises(kind):
        job(store, spec("127.0.0.1:1"), follow=True).run()
    assert cluster.said == ["close"]
    assert cluster.running == ["liucun-of-an-earlier-run"], "what cannot begin leaves it at work"


@pytest.mark.parametrize(
    ("kind", "follow", "looks"),
    [(NotPermittedError, True, 2), (UnreachableError, False, 2), (UnreachableError, True, 6)],
)
def test_brokers_that_fall_silent_or_refuse_later(
    store: Store,
    brokers: Brokers,
    cluster: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[LiucunError],
    *,
    follow: bool,
    looks: int,
) -> None:
    """As in the embedded run: a refusal ends it, silence only one that does not follow, and not at once."""
    brokers.write(4)
    monkeypatch.setattr(flink, "PATIENCE_SECONDS", 0.0)
    running = job(store, spec(brokers.address), follow=follow)
    seen: list[int] = []

    def fail(self: object) -> None:
        raise kind("No.", cure="-")

    def look(round_: int) -> None:
        seen.append(round_)
        monkeypatch.setattr(kafka_reading.KafkaReader, "partitions", fail)
        if round_ == 5:
            running.stop()

    if kind is UnreachableError and follow:
        look_on(running, look)
        assert running.problems == ["No."]
    else:
        with pytest.raises(kind):
            look_on(running, look)
    assert len(seen) == looks, "the last is at the end"
    assert cluster.running == [], "nothing is left on the cluster"


def test_an_earlier_run_s_job_is_ended_before_the_new_one_is_submitted(
    store: Store, brokers: Brokers, cluster: StandIn
) -> None:
    brokers.write(4)
    archived(store, brokers, 1)
    job(store, spec(brokers.address)).run()
    assert cluster.said == ["cancel liucun-of-an-earlier-run", "submit", "cancel liucun-of-this-run", "close"]


class Step:
    """Stands in for the account of a run: so many batches more at every look, or the catalogue's error."""

    def __init__(self, *steps: int | LiucunError) -> None:
        self.steps = list(steps)
        self.batches = 0

    def summary(self, started: float) -> RunSummary:
        step = self.steps.pop(0) if self.steps else 0
        if isinstance(step, LiucunError):
            raise step
        self.batches += step
        return RunSummary(started=started, batches=self.batches)

    def losses(self) -> list[object]:
        return []

    def condemned(self) -> list[object]:
        return []

    def marks(self) -> list[object]:
        return []


def test_a_job_that_commits_nothing_does_not_pass_for_one_that_goes_round(
    store: Store, brokers: Brokers, cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Monitors go by the rounds: 40 messages wait; it commits twice, stands, the catalogue is away once, and on."""
    brokers.write(40)
    away = UnreachableError("The database is away.", cure="-")
    step = Step(1, 1, 0, 0, away, 1, 0)
    monkeypatch.setattr(flink, "Account", lambda catalogue, sources: step)
    monkeypatch.setattr(flink, "COUNT_SHARE", 1e9)
    running = job(store, spec(brokers.address), follow=True)
    rounds: list[int] = []
    looks: list[int] = []
    real = FlinkJob._losses

    def look(self: FlinkJob) -> None:
        looks.append(len(step.steps))
        if not step.steps:
            self.stop()
        real(self)

    monkeypatch.setattr(FlinkJob, "_losses", look)
    running.run(lambda summary, _waiting: rounds.append(summary.batches))
    assert rounds == [1, 2, 3]
    assert running.problems == ["The database is away."]
    assert len(looks) >= 7


def test_a_job_that_only_restarts_does_not_go_round(
    store: Store, brokers: Brokers, cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers.write(4)
    archived(store, brokers, 1)
    monkeypatch.setattr(
        StandIn, "job", lambda self, name: ClusterJob(name, name, "RESTARTING" if name in self.running else "FAILED", 0)
    )
    running = job(store, spec(brokers.address), follow=True)
    rounds: list[int] = []
    threading.Timer(3.0, running.stop).start()
    running.run(lambda summary, _waiting: rounds.append(summary.batches))
    assert rounds == []


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({}, "worker pool"),
        ({"workers": "localhost:1"}, "worker pool"),
        # As in the chart and in the stack of containers: the pool is on the loopback of the task manager's own pod.
        ({"master": "jobmanager:8081"}, None),
        ({"master": "10.0.0.5:8081", "workers": "127.0.0.1:50000"}, None),
        ({"master": "jobmanager:8081", "workers": "0.0.0.0:1"}, "worker pool"),
        ({"job_server": "127.0.0.1:1"}, "job server"),
        ({"job_server": "127.0.0.1:99999"}, "job server"),
    ],
)
def test_what_can_be_asked_from_here_is_asked(settings: dict[str, str], missing: str | None) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        there = f"127.0.0.1:{server.getsockname()[1]}"
        asked = FlinkSettings.model_validate({"job_server": there, "workers": "127.0.0.1:1", **settings})
        if missing is None:
            require_parts(cast("Cluster", StandIn()), asked)
        else:
            with pytest.raises(UnreachableError, match=missing):
                require_parts(cast("Cluster", StandIn()), asked)


def test_too_few_slots_are_said() -> None:
    with pytest.raises(StorageError, match="8 task slots"):
        require_parts(cast("Cluster", StandIn()), FlinkSettings(parallelism=9))


URL = "postgresql+psycopg://liucun:secret@db/liucun"


@pytest.mark.parametrize(
    "settings",
    [
        {"archive": {"catalogue": URL}},
        {"archive": {"catalogue": "postgresql://liucun@db/liucun?password=secret"}},
        {"archive": {"catalogue": "postgresql://liucun@db/liucun?sslkey=/key&sslpassword=secret"}},
        {"archive": {"catalogue": URL.replace(":secret", "")}, "keys": {"periods": URL}},
    ],
)
def test_a_job_carries_no_password(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="password") as raised:
        require_no_password(StoreSettings.model_validate(settings))
    assert "secret" not in str(raised.value)
    require_no_password(StoreSettings.model_validate({"archive": {"catalogue": URL.replace(":secret", "")}}))
    require_no_password(StoreSettings())


def test_losses_of_other_sources_are_none_of_this_run_s(store: Store) -> None:
    from retention.catalogue import events

    def lose(source: str) -> None:
        with store.catalogue.write() as connection:
            body = {"source": source, "start": 1, "end": 9}
            events.append(connection, kind="source.lost", actor="system:files", subject="partition:p", body=body)

    lose("k")
    account = Account(store.catalogue, {"k"})
    lose("files")
    assert account.losses() == []
    lose("k")
    assert [source for source, _ in account.losses()] == ["k"]


def test_what_workers_died_over_is_told_and_restarts_that_narrow_it_down_are_not_a_job_that_stands(
    store: Store, brokers: Brokers, cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that does not follow: each restart leaves another mark until the message stands alone; then they stay."""
    from retention.catalogue import attempts, events

    brokers.write(4)
    looks: list[int] = []

    def restarts(_self: StandIn, _job: ClusterJob) -> int:
        looks.append(len(looks))
        if len(looks) < 20:
            with store.catalogue.write(row_locks=True) as connection:
                attempts.begin(connection, "k", f"{TOPIC}/0#1", 0, 1, records=1, narrowed=False)
        elif len(looks) == 20:
            with store.catalogue.write() as connection:
                body = {"source": "k", "start": 7, "end": 8, "tries": 3, "since": ""}
                events.append(
                    connection, kind="source.condemned", actor="system:seal", subject="partition:p", body=body
                )
        return len(looks)

    monkeypatch.setattr(StandIn, "restarts", restarts)
    monkeypatch.setattr(StandIn, "root_cause", lambda _self, _job: None, raising=False)
    monkeypatch.setattr(flink, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(flink, "POLL_SECONDS", 0.02)
    running = job(store, spec(brokers.address))
    with pytest.raises(LiucunError, match="does not run on the cluster"):
        running.run()
    assert len(looks) == 19 + flink.MOST_RESTARTS
    assert "p: offset 7 is archived unread: 3 workers died over it, one by one" in running.problems
    assert running.unreadable()["k"] == 1
