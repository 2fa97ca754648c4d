"""What the Kafka source's ledger puts on record: beginnings, losses, topics made anew, and what still waits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from errors import StorageError
from pipelines.sources.kafka_ledger import Ledger, TopicPartition, waiting
from retention.catalogue import events as event_log
from retention.catalogue.events import HOLES
from retention.catalogue.tables import batches, events, partitions
from retention.store import Store
from tests.pipelines.sources.mock_kafka import faults


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger("k", store.catalogue)


def kinds(store: Store) -> list[str]:
    with store.catalogue.read() as connection:
        return list(connection.execute(sa.select(events.c.kind).order_by(events.c.id)).scalars())


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
