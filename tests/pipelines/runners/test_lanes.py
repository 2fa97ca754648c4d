"""Lanes: every partition has one, and their keys spread over a cluster's subtasks."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from errors import StorageError
from pipelines.runners import lanes
from pipelines.runners.keygroups import key_groups, subtask_of
from pipelines.runners.lanes import Lane
from pipelines.sources.kafka_ledger import TopicPartition


@pytest.mark.parametrize("lanes", [1, 2, 3, 7])
def test_every_partition_belongs_to_exactly_one_lane(lanes: int) -> None:
    all_lanes = [Lane("job", "s", number, lanes) for number in range(lanes)]
    places = [TopicPartition(topic, number) for topic in ("a", "b") for number in range(12)]
    takers = [[lane.number for lane in all_lanes if lane.takes(place)] for place in places]
    assert all(len(found) == 1 for found in takers)
    spread = Counter(found[0] for found in takers)
    assert max(spread.values()) - min(spread.values()) <= 2


def test_a_lane_is_the_same_after_its_way_through_the_runner() -> None:
    lane = Lane("job", "a.b-c_d", 3, 8).on(1, 2)
    assert Lane.of_key(lane.key()) == lane


@pytest.mark.parametrize("parallelism", [1, 2, 5, 64, 200])
def test_a_lane_s_key_falls_to_the_subtask_that_was_asked_for(parallelism: int) -> None:
    for subtask in range(parallelism):
        assert subtask_of(Lane("job", "s", subtask, parallelism).on(subtask, parallelism).key(), parallelism) == subtask


@pytest.mark.parametrize(("parallelism", "groups"), [(1, 128), (85, 128), (86, 256), (1000, 2048), (30_000, 32_768)])
def test_key_groups_grow_as_flink_s_do(parallelism: int, groups: int) -> None:
    assert key_groups(parallelism) == groups


@pytest.mark.parametrize(
    ("key", "subtask"),
    [
        ("84d41cba7550/bench/0/2/1", 1),
        ("84d41cba7550/bench/1/2/2", 1),
        ("4d6954263f6a/bench/0/2/1", 0),
        ("4d6954263f6a/bench/1/2/2", 0),
        ("201e43fb8f80/bench/0/2/1", 0),
        ("201e43fb8f80/bench/1/2/0", 0),
        ("c59440a0535a/bench/0/2/1", 0),
        ("c59440a0535a/bench/1/2/0", 1),
        ("398b15aa68ad/bench/0/2/0", 0),
        ("398b15aa68ad/bench/1/2/0", 1),
    ],
)
def test_keys_fall_where_a_cluster_has_put_them(key: str, subtask: int) -> None:
    # Seen on Flink 1.19 with the runner of Beam 2.70.
    assert subtask_of(key, 2) == subtask


def test_a_reader_that_failed_is_never_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have taken messages from the brokers that nobody got: read on, they would be offsets without one."""
    made: list[Reader] = []

    class Reader:
        def __init__(self, *_given: object, **_named: object) -> None:
            self.closed = False
            made.append(self)

        def read(self, _most: int, _seconds: float) -> list[Any]:
            if len(made) == 1:
                raise StorageError("The catalogue is busy.", cure="-")
            return []

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(lanes, "KafkaSource", Reader)
    monkeypatch.setattr(lanes, "store_of", lambda _ref: SimpleNamespace(catalogue=None))
    monkeypatch.setattr(lanes, "_open", {})
    reading = lanes._ReadLane(None, {"s": None}, 1 << 20)  # type: ignore[arg-type, dict-item]
    key, again = Lane("job", "s", 0, 1).key(), SimpleNamespace(set=lambda _at: None)
    with pytest.raises(StorageError):
        list(reading.turn(key, again))
    assert list(reading.turn(key, again)) == []
    assert [reader.closed for reader in made] == [True, False]
    assert list(reading.turn(key, again)) == []
    assert len(made) == 2, "one that read nothing is"
