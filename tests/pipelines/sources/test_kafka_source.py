"""The Kafka source in the embedded run, against librdkafka's mock brokers."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from errors import LiucunError, UnreachableError
from pipelines.job import Job, JobOptions
from pipelines.sources import kafka_reading
from pipelines.sources.kafka import KafkaLag, KafkaSource
from pipelines.sources.kafka_reading import KafkaReader
from pipelines.summary import RunSummary
from retention.catalogue.tables import batches, partitions
from retention.store import Store
from tests.pipelines.sources.mock_kafka import PARTITIONS, TOPIC, Brokers, faults, spec


def run(store: Store, brokers: Brokers, *topics: str, **options: int) -> RunSummary:
    job = Job(store, [spec(brokers.address, *topics)], JobOptions(**options))
    return job.run()


def offsets(store: Store) -> dict[str, int]:
    with store.catalogue.read() as connection:
        rows = connection.execute(sa.select(partitions.c.partition, partitions.c.cursor))
        return {row.partition: row.cursor for row in rows}


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


def test_a_backlog_of_empty_messages_is_not_held_in_memory_whole(store: Store, brokers: Brokers) -> None:
    for _ in range(60_000):
        brokers.producer.produce(TOPIC, None, partition=0)
        brokers.producer.poll(0)
    assert brokers.producer.flush(60) == 0
    source = KafkaSource(spec(brokers.address), store.catalogue)
    read = []
    while not source.done():
        read.append(sum(len(raw.messages or ()) for raw in source.plan(1 << 20)))
    source.close()
    assert sum(read) == 60_000
    assert max(read) <= 30_000, "1 MiB of messages that count 64 bytes at the least, and what came with the last"


@pytest.mark.parametrize("follow", [True, False])
def test_brokers_that_leave_while_a_partition_is_settled_are_waited_for_by_a_run_that_follows(
    store: Store, brokers: Brokers, monkeypatch: pytest.MonkeyPatch, follow: bool
) -> None:
    def away(_self: KafkaReader, _place: object) -> None:
        raise UnreachableError("The brokers are away.", cure="-")

    brokers.write(400)
    source = KafkaSource(spec(brokers.address), store.catalogue, follow=follow)
    got = sum(len(raw.messages or ()) for raw in source.plan(1 << 20))
    source._reader.moved.add((TOPIC, 0))
    with monkeypatch.context() as patched:
        patched.setattr(KafkaReader, "watermarks", away)
        if not follow:
            with pytest.raises(UnreachableError, match="away"):
                source.plan(1 << 20)
            source.close()
            return
        got += sum(len(raw.messages or ()) for raw in source.plan(1 << 20))
        assert [str(problem) for problem in source.problems] == ["k: The brokers are away."]
    until = time.monotonic() + 60
    while got < 400 and time.monotonic() < until:
        got += sum(len(raw.messages or ()) for raw in source.plan(1 << 20))
    source.plan(1 << 20)
    source.close()
    assert source._reader.moved == set()
