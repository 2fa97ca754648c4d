"""The Kafka source in the embedded run, against librdkafka's mock brokers: a real peer of the protocol, in memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from confluent_kafka import Producer

from errors import LiucunError, SettingsError, StorageError, UnreachableError
from liucun.store import prepare_tables
from pipelines.job import Job, JobOptions
from pipelines.sources import kafka_reading
from pipelines.sources.kafka import KafkaLag, KafkaSource
from pipelines.sources.kafka_ledger import Ledger, TopicPartition, waiting
from pipelines.sources.kafka_settings import KafkaSettings, client_config, consumer_config
from pipelines.sources.spec import SourceSpec
from pipelines.summary import RunSummary
from retention.audits.coverage import audit_coverage
from retention.catalogue import events as event_log
from retention.catalogue.events import HOLES
from retention.catalogue.tables import batches, events, partitions
from retention.store import Store, StoreSettings

PASSPHRASE = "a passphrase for tests"
TOPIC = "posts"
PARTITIONS = 4
"""What the mock brokers give a topic that they make."""


class Brokers:
    """Mock brokers and a producer; messages are numbered from 0 on."""

    def __init__(self) -> None:
        self.producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        known = self.producer.list_topics(timeout=10).brokers.values()
        self.address = ",".join(f"{broker.host}:{broker.port}" for broker in known)
        self.written = 0

    def write(self, count: int, topic: str = TOPIC) -> None:
        for number in range(self.written, self.written + count):
            value = json.dumps({"content_id": f"c{number}", "text": f"text {number}"}).encode()
            self.producer.produce(topic, value, partition=number % PARTITIONS)
        assert self.producer.flush(30) == 0
        self.written += count


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    # The mock knows no topic ids, and says so by silence.
    monkeypatch.setattr(kafka_reading, "IDENTITY_SECONDS", 0.2)
    return Brokers()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    root = tmp_path / "store"
    Store.create(root, StoreSettings(), PASSPHRASE)
    with Store.open(root, StoreSettings(), PASSPHRASE) as opened:
        prepare_tables(opened.catalogue)
        yield opened


def spec(address: str, *topics: str) -> SourceSpec:
    return SourceSpec.model_validate(
        {
            "name": "k",
            "kind": "kafka",
            "record_class": "content",
            "format": "ndjson",
            "kafka": {"brokers": address.split(","), "topics": topics or (TOPIC,)},
        }
    )


def run(store: Store, brokers: Brokers, *topics: str, **options: int) -> RunSummary:
    job = Job(store, [spec(brokers.address, *topics)], JobOptions(**options))
    return job.run()


def offsets(store: Store) -> dict[str, int]:
    with store.catalogue.read() as connection:
        rows = connection.execute(sa.select(partitions.c.partition, partitions.c.cursor))
        return {row.partition: row.cursor for row in rows}


def kinds(store: Store) -> list[str]:
    with store.catalogue.read() as connection:
        return list(connection.execute(sa.select(events.c.kind).order_by(events.c.id)).scalars())


def faults(store: Store) -> list[tuple[str, str]]:
    return [(finding.kind, finding.where) for finding in audit_coverage(store).faults]


def test_everything_is_archived_once_and_a_second_run_goes_on_from_there(store: Store, brokers: Brokers) -> None:
    brokers.write(1000)
    assert run(store, brokers).records_in == 1000
    assert run(store, brokers).records_in == 0
    brokers.write(10)
    assert run(store, brokers).records_in == 10
    assert faults(store) == []
    assert sum(offsets(store).values()) == 1010
    assert set(offsets(store)) == {f"{TOPIC}/{number}#1" for number in range(PARTITIONS)}


def test_messages_that_hold_nothing_are_accounted_for(store: Store, brokers: Brokers) -> None:
    for value in (b'{"content_id":"c1"}', None, b" \n", b'{"content_id":"c2"}'):
        brokers.producer.produce(TOPIC, value, partition=0)
    assert brokers.producer.flush(30) == 0
    assert run(store, brokers).records_in == 2
    with store.catalogue.read() as connection:
        row = connection.execute(sa.select(batches).where(batches.c.partition == f"{TOPIC}/0#1")).one()
    assert (row.end, row.records, row.headers, row.blanks) == (4, 2, 0, 2)
    assert faults(store) == []


def test_small_batches_and_rounds_make_no_difference(store: Store, brokers: Brokers) -> None:
    brokers.write(500)
    summary = run(store, brokers, batch_bytes=600, round_bytes=3000)
    assert summary.records_in == 500
    assert summary.batches > 20
    assert faults(store) == []


def test_a_run_that_follows_takes_up_what_comes_later(store: Store, brokers: Brokers) -> None:
    brokers.write(4)
    job = Job(store, [spec(brokers.address)], JobOptions(follow=True, max_seconds=60))
    seen: list[int] = []

    def progress(summary: RunSummary, _waiting: int) -> None:
        if not seen and summary.records_in == 4:
            brokers.write(40)
            seen.append(4)
        elif summary.records_in == 44:
            job.stop()

    assert job.run(progress).records_in == 44
    assert faults(store) == []


def test_a_batch_that_failed_is_read_again_by_the_next_run(
    store: Store, brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers.write(400)
    from pipelines.stages import seal

    sealed, fail = seal.commit_batch, threading.Event()

    def sometimes(*args: object, **kwargs: object) -> object:
        if fail.is_set():
            raise UnreachableError("The database is away.", cure="Wait.")
        fail.set()
        return sealed(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(seal, "commit_batch", sometimes)
    with pytest.raises(UnreachableError):
        run(store, brokers)
    monkeypatch.setattr(seal, "commit_batch", sealed)
    assert 0 < sum(offsets(store).values()) < 400
    assert run(store, brokers).records_in + 100 == 400
    assert [kind for kind, _ in faults(store) if kind != "orphan"] == []


def test_two_collectors_of_one_topic_archive_everything_once(store: Store, brokers: Brokers) -> None:
    brokers.write(2000)
    jobs = [Job(store, [spec(brokers.address)], JobOptions(batch_bytes=size)) for size in (3_000, 4_700)]
    ended: list[RunSummary | LiucunError] = []

    def work(job: Job) -> None:
        try:
            ended.append(job.run())
        except LiucunError as error:
            ended.append(error)

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(s.records_in for s in ended if isinstance(s, RunSummary)) == 2000, ended
    assert sum(offsets(store).values()) == 2000
    assert [kind for kind, _ in faults(store) if kind != "orphan"] == []


def test_a_topic_that_is_not_there_is_said_and_the_others_are_read(
    store: Store, brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers.write(8)
    source = KafkaSource(spec(brokers.address, TOPIC, "nowhere"), store.catalogue)
    there = source._reader.partitions
    # The mock brokers make whatever topic they are asked for.
    monkeypatch.setattr(source._reader, "partitions", lambda: [p for p in there() if p.topic != "nowhere"])
    assert sum(len(raw.messages or ()) for raw in source.plan(1 << 20)) == 8
    source.close()
    assert [str(problem) for problem in source.problems] == ["nowhere: there is no such topic (yet)"]


def test_brokers_that_do_not_answer_are_a_typed_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_reading, "ANSWER_SECONDS", 0.5)
    source = KafkaSource(spec("127.0.0.1:1"), store.catalogue)
    with pytest.raises(UnreachableError, match="do not answer"):
        source.plan(1 << 20)
    source.close()


def test_lanes_share_the_partitions_without_overlap(store: Store, brokers: Brokers) -> None:
    brokers.write(400)
    taken: list[str] = []
    for number in range(3):
        source = KafkaSource(
            spec(brokers.address), store.catalogue, follow=True, mine=lambda place, n=number: place.number % 3 == n
        )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            taken += [raw.place.partition for raw in source.read(1 << 20, 0.5)]
            if source._reader.reading and source._reader.ended():
                break
        source.close()
    assert sorted(taken) == [f"{TOPIC}/{number}#1" for number in range(PARTITIONS)]


def test_the_lag_is_what_the_cursors_have_not_reached(store: Store, brokers: Brokers) -> None:
    brokers.write(400)
    lag = KafkaLag([spec(brokers.address)], store.catalogue)
    assert sum(lag.messages().values()) == 400
    run(store, brokers)
    assert sum(lag.messages().values()) == 0
    brokers.write(4)
    assert lag.messages() == {("k", f"{TOPIC}/{number}"): 1 for number in range(PARTITIONS)}
    lag.close()


@pytest.mark.parametrize(
    ("topic_id", "low", "high", "waits"),
    [
        ("id", 0, 80, 70),
        (None, 0, 80, 70),
        ("id", 10, 10, 0),
        # Retention overtook the cursor, up to all that there was; a topic made anew, longer than the cursor or not.
        ("id", 30, 80, 50),
        ("id", 80, 80, 1),
        ("other", 0, 500, 500),
        ("other", 0, 0, 1),
        ("id", 0, 4, 4),
    ],
)
def test_what_waits_is_counted_in_the_topic_that_there_is_now(
    store: Store, ledger: Ledger, topic_id: str | None, low: int, high: int, waits: int
) -> None:
    place = TopicPartition("t", 0, topic_id)
    assert waiting(None, place, low, high) == high - low
    first, _ = ledger.take_up(TopicPartition("t", 0, "id"), 0, 80)
    commit(store, first.partition, 0, 10)
    assert waiting(ledger._newest("t/0"), place, low, high) == waits
    position, _ = ledger.take_up(place, low, high)
    if position.cursor < low:
        ledger.overtaken(position, low)
    assert waiting(ledger._newest("t/0"), place, low, high) == high - ledger.cursor(position.partition)


class Answers:
    """Stands in for a client that is asked for topics' ids; None is silence."""

    def __init__(self, *told: str | None) -> None:
        self.told = list(told)
        self.asked = 0

    def describe_topics(self, _topics: object, request_timeout: float) -> dict[str, Answers]:
        self.asked += 1
        return {TOPIC: self}

    def result(self, _seconds: float) -> object:
        told = self.told[min(self.asked, len(self.told)) - 1]
        if told is None:
            raise TimeoutError
        return SimpleNamespace(topic_id=told)


NONE_OF_ITS_OWN = "AAAAAAAAAAAAAAAAAAAAAA=="


@pytest.mark.parametrize(
    ("told", "looks", "asked"),
    [
        (["one", None, None, None, None, "two"], [{TOPIC: "one"}, {}, {}, {}, {}, {TOPIC: "two"}], 6),
        ([None, "one"], [{}, {TOPIC: "one"}], 2),
        ([None], [{}] * 6, 3),
        ([NONE_OF_ITS_OWN], [{}] * 6, 1),
    ],
    ids=["busy later", "busy at first", "always silent", "none to tell"],
)
def test_silence_about_a_topic_s_id_is_no_answer(
    told: list[str | None], looks: list[dict[str, str]], asked: int
) -> None:
    """A broker that is busy once must not make the source blind to a topic made anew."""
    reader = kafka_reading.KafkaReader("k", settings(brokers=["127.0.0.1:1"]), batch_bytes=1 << 20)
    answers = Answers(*told)
    reader._admin = answers
    assert [reader._topic_ids([TOPIC]) for _ in looks] == looks
    assert answers.asked == asked
    reader.close()


# What the ledger puts on record


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger("k", store.catalogue)


def commit(store: Store, partition: str, start: int, end: int) -> None:
    """A batch of offsets without a message, said so."""
    with store.catalogue.write() as connection:
        connection.execute(partitions.update().where(partitions.c.partition == partition).values(cursor=end))
        connection.execute(
            batches.insert().values(
                source="k",
                partition=partition,
                start=start,
                end=end,
                records=0,
                headers=0,
                blanks=0,
                committed_at="2026",
            )
        )
        said = {"source": "k", "start": start, "end": end, "offsets": end - start, "ranges": [[start, end]]}
        event_log.append(connection, kind=HOLES, actor="system:run", subject=f"partition:{partition}", body=said)


def test_what_was_gone_before_the_first_look_is_the_beginning_not_a_loss(store: Store, ledger: Ledger) -> None:
    position, loss = ledger.take_up(TopicPartition("t", 0, "id"), 50, 80)
    assert (position.cursor, loss) == (50, None)
    assert "source.begins" in kinds(store)
    assert faults(store) == []


def test_retention_that_overtakes_the_cursor_is_a_fault_for_good(store: Store, ledger: Ledger) -> None:
    position, _ = ledger.take_up(TopicPartition("t", 0, "id"), 0, 80)
    commit(store, position.partition, 0, 10)
    behind, _ = ledger.take_up(TopicPartition("t", 0, "id"), 30, 80)
    assert behind.cursor == 10
    loss = ledger.overtaken(behind, 30)
    assert loss is not None
    assert (loss.start, loss.end) == (10, 30)
    assert ledger.overtaken(behind, 30) is None, "it is recorded once, whoever else sees it"
    assert faults(store) == [("source_lost", "k:t/0#1 [10, 30)")]
    commit(store, position.partition, 30, 40)
    assert faults(store) == [("source_lost", "k:t/0#1 [10, 30)")]


def test_a_hole_that_nobody_recorded_stays_a_gap(store: Store, ledger: Ledger) -> None:
    position, _ = ledger.take_up(TopicPartition("t", 0, "id"), 0, 80)
    commit(store, position.partition, 0, 10)
    commit(store, position.partition, 30, 40)
    assert faults(store) == [("gap", "k:t/0#1 [10, 30)")]


@pytest.mark.parametrize(
    ("topic_id", "high", "lost"),
    [("other", 500, [("source_lost", "k:t/0#1 [10, 80)")]), ("id", 4, [("source_lost", "k:t/0#1 [10, 80)")])],
)
def test_a_topic_made_anew_is_a_new_generation(
    store: Store, ledger: Ledger, topic_id: str, high: int, lost: list[tuple[str, str]]
) -> None:
    first, _ = ledger.take_up(TopicPartition("t", 0, "id"), 0, 80)
    commit(store, first.partition, 0, 10)
    second, loss = ledger.take_up(TopicPartition("t", 0, topic_id), 0, high)
    assert loss is not None
    assert (second.partition, second.cursor) == ("t/0#2", 0)
    again, loss = ledger.take_up(TopicPartition("t", 0, topic_id), 0, high)
    assert (again.partition, loss) == ("t/0#2", None)
    assert faults(store) == lost


def test_a_topic_made_anew_after_all_of_it_was_archived_says_so_without_a_count(store: Store, ledger: Ledger) -> None:
    first, _ = ledger.take_up(TopicPartition("t", 0, "id"), 0, 80)
    commit(store, first.partition, 0, 80)
    _, loss = ledger.take_up(TopicPartition("t", 0, "other"), 0, 5)
    assert loss is not None
    assert loss.end is None


def test_collectors_that_see_a_new_partition_at_once_enter_it_once(store: Store) -> None:
    rounds, collectors = 20, 3
    ledgers = [Ledger("k", store.catalogue) for _ in range(collectors)]
    together = threading.Barrier(collectors)

    def look(ledger: Ledger) -> list[int]:
        found = []
        for number in range(rounds):
            together.wait()
            position, loss = ledger.take_up(TopicPartition("t", number, "id"), 7, 9)
            assert loss is None
            found.append(position.cursor)
        return found

    with ThreadPoolExecutor(collectors) as pool:
        assert list(pool.map(look, ledgers)) == [[7] * rounds] * collectors
    assert faults(store) == []


def test_a_partition_is_entered_with_its_beginning_or_not_at_all(
    store: Store, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object, **named: object) -> None:
        raise StorageError("full", cure="none")

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.sources.kafka_ledger.events.append", full)
        with pytest.raises(StorageError):
            ledger.take_up(TopicPartition("t", 0, "id"), 7, 9)
    position, loss = ledger.take_up(TopicPartition("t", 0, "id"), 8, 9)
    assert (position.cursor, loss) == (8, None), "what was lost before it was on record is its beginning, not a loss"
    assert faults(store) == []


# Settings


def settings(**given: object) -> KafkaSettings:
    return KafkaSettings.model_validate({"brokers": ["h:9092"], "topics": ["t"], **given})


@pytest.mark.parametrize(
    "given",
    [
        {"topics": []},
        {"topics": ["a", "a"]},
        {"topics": ["bad topic"]},
        {"topics": [".."]},
        {"brokers": ["h"]},
        {"brokers": ["h:"]},
        {"brokers": ["h:9092", "h:kafka"]},
        {"brokers": ["h:9092,g:9092"]},
        {"brokers": ["h: 9092"]},
        {"security": "sasl_tls"},
        {"security": "sasl_tls", "username": "u"},
        {"security": "sasl_tls", "username": "u", "password_env": "A", "password_file": "b"},
        {"username": "u", "password_env": "A"},
        {"ca_file": "ca.pem"},
        {"security": "tls", "certificate_file": "c.pem"},
        {"password": "secret"},
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"validation error"):
        settings(**given)


def test_a_password_comes_from_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\n", encoding="utf-8")
    by_file = settings(security="sasl_tls", username="u", password_file=str(file))
    assert client_config(by_file)["sasl.password"] == "from the file"
    by_env = settings(security="sasl_tls", username="u", password_env="KAFKA_PASSWORD_OF_TESTS")
    with pytest.raises(SettingsError, match="KAFKA_PASSWORD_OF_TESTS"):
        client_config(by_env)
    monkeypatch.setenv("KAFKA_PASSWORD_OF_TESTS", "from the environment")
    assert client_config(by_env)["sasl.password"] == "from the environment"
    with pytest.raises(SettingsError, match="nowhere"):
        client_config(settings(security="sasl_tls", username="u", password_file=str(tmp_path / "nowhere")))


def test_a_reader_never_resets_never_commits_and_reads_committed_messages_only() -> None:
    config = consumer_config(settings(), queued_bytes=1 << 20)
    assert config["auto.offset.reset"] == "error"
    assert config["enable.auto.commit"] is False
    assert config["isolation.level"] == "read_committed"
    assert consumer_config(settings(), queued_bytes=16 << 20)["queued.max.messages.kbytes"] == 16 << 10, "back-pressure"


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "kafka"},
        {"kind": "kafka", "paths": ["x"], "kafka": {"brokers": ["h:1"], "topics": ["t"]}},
        {"kind": "files", "paths": ["x"], "kafka": {"brokers": ["h:1"], "topics": ["t"]}},
        {"kind": "kafka", "format": "csv", "kafka": {"brokers": ["h:1"], "topics": ["t"]}},
    ],
)
def test_sources_are_of_one_kind(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"validation error"):
        SourceSpec.model_validate({"name": "k", "record_class": "content", "format": "ndjson", **fields})
