"""The Kafka source on a real broker: retention, deletion, transactions, compaction, new partitions, SASL over TLS."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from errors import NotPermittedError, UnreachableError
from pipelines.job import Job, JobOptions
from pipelines.sources import kafka, kafka_reading
from pipelines.sources.kafka_ledger import Position
from pipelines.sources.kafka_ledger import TopicPartition as Place
from pipelines.sources.kafka_reading import KafkaReader
from pipelines.sources.kafka_settings import KafkaSettings
from pipelines.sources.spec import SourceSpec
from pipelines.summary import RunSummary
from retention.audits.coverage import audit_coverage
from retention.catalogue.tables import events, partitions
from retention.store import Store
from tests.services import servers

pytestmark = pytest.mark.services


class Topic:
    """A topic of its own, gone at the end."""

    def __init__(self, address: str, count: int = 2, **config: str) -> None:
        self.address = address
        self.admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
        self.name = f"test-{secrets.token_hex(5)}"
        self.partitions = count
        self.written = 0
        self.create(**config)

    def create(self, **config: str) -> None:
        self.admin.create_topics([NewTopic(self.name, self.partitions, 1, config=config)])[self.name].result(30)
        servers.wait_until("the topic", lambda: self.name in self.admin.list_topics(timeout=5).topics)

    def delete(self) -> None:
        self.admin.delete_topics([self.name])[self.name].result(30)
        servers.wait_until("its end", lambda: self.name not in self.admin.list_topics(timeout=5).topics)

    def producer(self, **config: Any) -> Producer:
        return Producer({"bootstrap.servers": self.address, "log_level": 0, "linger.ms": 5, **config})

    def write(self, count: int, producer: Producer | None = None, **given: Any) -> None:
        writer = producer or self.producer()
        for number in range(self.written, self.written + count):
            value = json.dumps({"content_id": f"c{number}", "text": "text"}).encode()
            writer.produce(self.name, value, **{"partition": number % self.partitions, **given})
        assert writer.flush(60) == 0
        self.written += count

    def drop_before(self, number: int, offset: int) -> None:
        """What the topic's retention does in its own time."""
        for done in self.admin.delete_records([TopicPartition(self.name, number, offset)]).values():
            done.result(30)


@pytest.fixture(scope="session")
def address() -> str:
    return servers.need("kafka", "LIUCUN_TEST_KAFKA")[0]


@pytest.fixture
def topic(address: str) -> Iterator[Topic]:
    made = Topic(address)
    yield made
    made.delete()


def spec(topic: Topic, **settings: object) -> SourceSpec:
    reached = {"brokers": [topic.address], "topics": [topic.name], **settings}
    fields = {"name": "k", "kind": "kafka", "record_class": "content", "format": "ndjson", "kafka": reached}
    return SourceSpec.model_validate(fields)


def run(store: Store, topic: Topic, **settings: object) -> tuple[RunSummary, list[str]]:
    job = Job(store, [spec(topic, **settings)], JobOptions())
    return job.run(), job.problems


def faults(store: Store) -> list[tuple[str, str]]:
    """What the audit of coverage tells, notices included."""
    return [(finding.kind, finding.where) for finding in audit_coverage(store).findings]


def bodies(store: Store, kind: str) -> list[dict[str, Any]]:
    with store.catalogue.read() as connection:
        found = connection.execute(sa.select(events.c.body).where(events.c.kind == kind).order_by(events.c.id))
        return [json.loads(body) for body in found.scalars()]


def names(store: Store) -> list[str]:
    with store.catalogue.read() as connection:
        return sorted(connection.execute(sa.select(partitions.c.partition)).scalars())


def test_a_topic_is_archived_once_from_where_it_begins(store: Store, topic: Topic) -> None:
    topic.write(100)
    topic.drop_before(0, 20)
    summary, problems = run(store, topic)
    assert (summary.records_in, problems) == (80, [])
    assert [body["start"] for body in bodies(store, "source.begins")] == [20]
    topic.write(50)
    assert run(store, topic)[0].records_in == 50
    assert faults(store) == []


def test_retention_that_overtakes_the_cursor_is_said_recorded_and_audited(store: Store, topic: Topic) -> None:
    topic.write(100)
    run(store, topic)
    topic.write(100)
    topic.drop_before(1, 80)
    summary, problems = run(store, topic)
    assert summary.records_in == 70
    assert problems == [
        f"{topic.name}/1#1: offsets 50 to 80 were never archived: the topic's retention overtook the cursor"
    ]
    assert faults(store) == [("source_lost", f"k:{topic.name}/1#1 [50, 80)")]
    topic.write(10)
    assert run(store, topic)[1] == []
    assert faults(store) == [("source_lost", f"k:{topic.name}/1#1 [50, 80)")]


def test_an_offset_that_is_gone_while_reading_is_handed_to_the_caller(topic: Topic) -> None:
    topic.write(100)
    topic.drop_before(0, 30)
    reader = KafkaReader("k", KafkaSettings(brokers=(topic.address,), topics=(topic.name,)), batch_bytes=1 << 20)
    place = Place(topic.name, 0)
    reader.assign([Position(place, "p", 0)])
    found = reader.read(1 << 20, 5)
    assert (found, reader.moved) == ([], {(topic.name, 0)})
    reader.assign([Position(place, "p", 30)])
    assert [(raw.place.start, raw.place.end) for raw in reader.read(1 << 20, 5)] == [(30, 50)]
    reader.close()


def test_a_backlog_is_read_in_big_batches_however_short_the_time_is(topic: Topic) -> None:
    topic.write(50_000)
    reader = KafkaReader("k", KafkaSettings(brokers=(topic.address,), topics=(topic.name,)), batch_bytes=1 << 23)
    reader.assign([Position(Place(topic.name, number), f"p{number}", 0) for number in (0, 1)])
    taken = 0
    while not taken:
        taken = sum(len(raw.messages or ()) for raw in reader.read(1, 5))
    # What is left lies in the client's queue after a while.
    servers.wait_until("the queue", lambda: reader.lag() == 50_000 - taken, 30)
    time.sleep(2)
    assert sum(len(raw.messages or ()) for raw in reader.read(1 << 23, 0.001)) == 50_000 - taken
    reader.close()


def test_a_topic_deleted_and_made_anew_is_a_new_generation(store: Store, topic: Topic) -> None:
    topic.write(100)
    assert run(store, topic)[0].records_in == 100
    topic.delete()
    topic.create()
    topic.write(300)
    summary, problems = run(store, topic)
    assert summary.records_in == 300
    assert names(store) == [f"{topic.name}/{n}#{g}" for n in (0, 1) for g in (1, 2)]
    assert len(problems) == 2
    assert all("deleted and made anew" in problem for problem in problems)
    assert [kind for kind, _ in faults(store)] == ["source_lost", "source_lost"]


def test_a_topic_that_vanishes_under_a_following_run_and_comes_back(
    store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "RESCAN_SECONDS", 0.3)
    topic.write(10)
    job = Job(store, [spec(topic)], JobOptions(follow=True, max_seconds=90))
    done = threading.Event()

    def progress(summary: RunSummary, _waiting: int) -> None:
        if summary.records_in == 10 and not done.is_set():
            topic.delete()
            topic.create()
            topic.write(20)
            done.set()
        elif summary.records_in == 30:
            job.stop()

    assert job.run(progress).records_in == 30
    assert names(store) == [f"{topic.name}/{n}#{g}" for n in (0, 1) for g in (1, 2)]


def test_new_partitions_are_found_while_following(store: Store, topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "RESCAN_SECONDS", 0.3)
    topic.write(10)
    job = Job(store, [spec(topic)], JobOptions(follow=True, max_seconds=60))
    grown = threading.Event()

    def progress(summary: RunSummary, _waiting: int) -> None:
        if summary.records_in == 10 and not grown.is_set():
            topic.admin.create_partitions([NewPartitions(topic.name, 5)])[topic.name].result(30)
            topic.partitions = 5
            time.sleep(0.5)
            topic.write(50)
            grown.set()
        elif summary.records_in == 60:
            job.stop()

    assert job.run(progress).records_in == 60
    assert len(names(store)) == 5
    assert faults(store) == []


def test_of_transactions_only_the_committed_are_archived_and_their_marks_are_holes(store: Store, topic: Topic) -> None:
    producer = topic.producer(**{"transactional.id": topic.name})
    producer.init_transactions(30)
    for end in (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        topic.write(10, producer, partition=0)
        end(30)
    summary, problems = run(store, topic)
    assert (summary.records_in, problems) == (20, [])
    assert sum(body["offsets"] for body in bodies(store, "source.holes")) == 13
    assert run(store, topic)[0].records_in == 0
    assert faults(store) == [("offsets_without_message", f"k:{topic.name}/0#1")]


def test_offsets_that_compaction_took_are_holes_on_record(store: Store, address: str) -> None:
    compacted = Topic(
        address,
        1,
        **{
            "cleanup.policy": "compact",
            "segment.ms": "200",
            "min.cleanable.dirty.ratio": "0.001",
            "max.compaction.lag.ms": "500",
            "delete.retention.ms": "0",
        },
    )
    for _ in range(3):
        compacted.write(20, key=b"one key")
        time.sleep(0.3)
    compacted.write(1, key=b"another")

    def left() -> int:
        reader = KafkaReader("k", KafkaSettings(brokers=(address,), topics=(compacted.name,)), batch_bytes=1 << 20)
        reader.assign([Position(Place(compacted.name, 0), "p", 0)])
        found = sum(len(raw.messages) for raw in reader.read(1 << 20, 5) if raw.messages is not None)
        reader.close()
        return found

    servers.wait_until("compaction", lambda: left() < 61, 90)
    summary, _ = run(store, compacted)
    assert summary.records_in < 61
    assert summary.records_in + sum(body["offsets"] for body in bodies(store, "source.holes")) == 61
    assert faults(store) == [("offsets_without_message", f"k:{compacted.name}/0#1")]
    compacted.delete()


@pytest.fixture
def secure(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    host, authority, user, password = servers.need(
        "kafka",
        "LIUCUN_TEST_KAFKA_SECURE",
        "LIUCUN_TEST_KAFKA_CA",
        "LIUCUN_TEST_KAFKA_USER",
        "LIUCUN_TEST_KAFKA_PASSWORD",
    )
    monkeypatch.setenv("KAFKA_PASSWORD_OF_TESTS", password)
    monkeypatch.setattr(kafka_reading, "ANSWER_SECONDS", 5.0)
    return {
        "brokers": [host],
        "security": "sasl_tls",
        "username": user,
        "password_env": "KAFKA_PASSWORD_OF_TESTS",
        "ca_file": authority,
    }


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
def test_sasl_over_tls(store: Store, topic: Topic, secure: dict[str, object], mechanism: str) -> None:
    topic.write(40)
    assert run(store, topic, **secure, mechanism=mechanism)[0].records_in == 40


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
def test_a_wrong_password_is_refused_and_said(
    store: Store, topic: Topic, secure: dict[str, object], monkeypatch: pytest.MonkeyPatch, mechanism: str
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD_OF_TESTS", "wrong")
    with pytest.raises(NotPermittedError, match="refuse") as told:
        run(store, topic, **secure, mechanism=mechanism)
    assert "wrong" not in str(told.value)


def test_a_broker_whose_certificate_nobody_vouches_for_is_not_spoken_to(
    store: Store, topic: Topic, secure: dict[str, object]
) -> None:
    with pytest.raises(UnreachableError, match=r"is not trusted.*ca_file"):
        run(store, topic, **{**secure, "ca_file": "/etc/ssl/certs/ca-certificates.crt"})


def test_a_broker_that_restarts_under_a_following_run(store: Store, topic: Topic) -> None:
    topic.write(100)
    job = Job(store, [spec(topic)], JobOptions(follow=True, max_seconds=120))
    restarted = threading.Event()

    def progress(summary: RunSummary, _waiting: int) -> None:
        if summary.records_in == 100 and not restarted.is_set():
            servers.control("kafka", "restart")
            topic.write(100)
            restarted.set()
        elif summary.records_in == 200:
            job.stop()

    assert job.run(progress).records_in == 200
    assert faults(store) == []
