"""The streaming source of a cluster run: lanes, each reading its share of a Kafka source's partitions without end.

A lane is a key with a processing-time timer that sets itself again. The runner's checkpoints hold that timer and no
offset: where to read is the catalogue's cursor, asked for whenever a lane is taken up, so that a checkpoint may be old,
lost or of another version and the archive stays exact. (A splittable DoFn that defers after each turn was tried first:
on Flink every deferral leaves a little state behind for good. docs/spike-flink.md)
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from errors import UnreachableError
from pipelines.batches import RawBatch
from pipelines.beam import (
    Duration,
    ManualWatermarkEstimator,
    OffsetRange,
    OffsetRestrictionTracker,
    TimeDomain,
    TimerSpec,
    Timestamp,
    beam,
    on_timer,
)
from pipelines.runners.keygroups import subtask_of
from pipelines.sources.kafka import KafkaSource
from pipelines.sources.kafka_ledger import TopicPartition
from pipelines.sources.spec import SourceSpec
from pipelines.stores import StoreRef, store_of

TURN_SECONDS: Final = 1.0
"""About how long a lane keeps its place; checkpoints and neighbouring lanes wait for it."""
WAIT_SECONDS: Final = 0.2
"""How long a lane gathers messages for its next batches, or waits for any; the time since it last read counts."""
LEAST_SECONDS: Final = 0.02
"""How long it gathers when that time has passed in work: what came meanwhile lies in the client's queue already."""
PAUSE_SECONDS: Final = 0.1
UNREACHABLE_SECONDS: Final = 2.0
WAKE_SECONDS: Final = 3600.0
STALE_SECONDS: Final = 5.0
"""A reader not used for so long may have been overtaken by another worker: it is made anew."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lane:
    """Lane ``number`` of ``of`` of a source in a job."""

    job: str
    source: str
    number: int
    of: int
    salt: int = 0

    def key(self) -> str:
        """The lane as the runner's key."""
        return f"{self.job}/{self.source}/{self.number}/{self.of}/{self.salt}"

    @classmethod
    def of_key(cls, key: str) -> Lane:
        """The lane of a key."""
        job, source, number, lanes, salt = key.split("/")
        return cls(job, source, int(number), int(lanes), int(salt))

    def on(self, subtask: int, parallelism: int) -> Lane:
        """This lane with a key that Flink gives to a certain subtask: left to chance, lanes would share subtasks."""
        for salt in range(64 * parallelism):
            lane = replace(self, salt=salt)
            if subtask_of(lane.key(), parallelism) == subtask:
                return lane
        return self

    def takes(self, place: TopicPartition) -> bool:
        """Whether the partition is this lane's: neighbours in a topic lie in different lanes, for good."""
        return (zlib.crc32(place.topic.encode()) + place.number) % self.of == self.number


@dataclass(slots=True)
class _Reading:
    source: KafkaSource
    used: float
    read: float = 0.0
    clean: bool = True


_lock = threading.Lock()
_open: dict[Lane, _Reading] = {}


class ReadLanes(beam.PTransform):
    """Every lane of every source → ``RawBatch``, without end."""

    def __init__(
        self, ref: StoreRef, specs: Mapping[str, SourceSpec], job: str, lanes: int, parallelism: int, batch_bytes: int
    ) -> None:
        super().__init__("Read")
        self.ref = ref
        self.specs = dict(specs)
        self.batch_bytes = batch_bytes
        self.lanes = [
            Lane(job, name, number, lanes).on(number % parallelism, parallelism)
            for name in sorted(specs)
            for number in range(lanes)
        ]

    def expand(self, begin: Any) -> Any:
        return (
            begin
            | "Impulse" >> beam.Impulse()
            | "Lanes" >> beam.ParDo(_Lanes([lane.key() for lane in self.lanes])).with_output_types(tuple[str, bytes])
            | "Kafka" >> beam.ParDo(_ReadLane(self.ref, self.specs, self.batch_bytes)).with_output_types(RawBatch)
        )


class _Waking(beam.transforms.core.RestrictionProvider):
    """Counts how often the lanes were woken."""

    def initial_restriction(self, element: bytes) -> Any:
        return OffsetRange(0, 2**63 - 1)

    def create_tracker(self, restriction: Any) -> Any:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: bytes, restriction: Any) -> float:
        return 1.0

    def truncate(self, element: bytes, restriction: Any) -> Any:
        return None


_WAKING_PARAM: Final = beam.DoFn.RestrictionParam(_Waking())
_WATERMARK_PARAM: Final = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class _Lanes(beam.DoFn):
    """Emits every lane's key now and then, and never lets the watermark move: at its end timers would be dropped."""

    def __init__(self, keys: list[str]) -> None:
        super().__init__()
        self.keys = keys

    @beam.DoFn.unbounded_per_element()  # type: ignore[untyped-decorator] # Beam's
    def process(
        self,
        element: bytes,
        tracker: Any = _WAKING_PARAM,
        _watermark: Any = _WATERMARK_PARAM,
    ) -> Iterator[tuple[str, bytes]]:
        if tracker.try_claim(tracker.current_restriction().start):
            yield from ((key, b"") for key in self.keys)
            tracker.defer_remainder(Duration(WAKE_SECONDS))


_AGAIN: Final = TimerSpec("again", TimeDomain.REAL_TIME)
_AGAIN_PARAM: Final = beam.DoFn.TimerParam(_AGAIN)


class _ReadLane(beam.DoFn):
    def __init__(self, ref: StoreRef, specs: Mapping[str, SourceSpec], batch_bytes: int) -> None:
        super().__init__()
        self.ref = ref
        self.specs = dict(specs)
        self.batch_bytes = batch_bytes

    def process(self, element: tuple[str, bytes], again: Any = _AGAIN_PARAM) -> None:
        again.set(Timestamp.now())

    @on_timer(_AGAIN)  # type: ignore[untyped-decorator] # Beam's
    def turn(self, key: Any = beam.DoFn.KeyParam, again: Any = _AGAIN_PARAM) -> Iterator[RawBatch]:
        lane = Lane.of_key(key)
        pause, deadline = 0.0, time.monotonic() + TURN_SECONDS
        while time.monotonic() < deadline:
            try:
                reading = self._reading(lane)
                # Should it fail here or in a later stage, it stands past what was not committed: it must not be used
                # again, or that would pass for offsets without a message.
                reading.clean = False
                gathered = time.monotonic() - reading.read
                batches = reading.source.read(self.batch_bytes, max(WAIT_SECONDS - gathered, LEAST_SECONDS))
                reading.read = time.monotonic()
            except UnreachableError as error:
                _LOG.warning("%s", error)
                _forget(lane)
                pause = UNREACHABLE_SECONDS
                break
            yield from batches
            reading.clean, reading.used = True, time.monotonic()
            if not batches:
                pause = PAUSE_SECONDS
                break
        again.set(Timestamp.now() + Duration(pause))

    def _reading(self, lane: Lane) -> _Reading:
        now = time.monotonic()
        with _lock:
            found = _open.get(lane)
            for other, reading in list(_open.items()):
                if now - reading.used > STALE_SECONDS or (other == lane and not reading.clean):
                    del _open[other]
                    reading.source.close()
                    found = None if other == lane else found
            if found is None:
                source = KafkaSource(
                    self.specs[lane.source],
                    store_of(self.ref).catalogue,
                    follow=True,
                    batch_bytes=self.batch_bytes,
                    mine=lane.takes,
                )
                found = _open[lane] = _Reading(source, now)
            return found


def _forget(lane: Lane) -> None:
    with _lock:
        reading = _open.pop(lane, None)
    if reading is not None:
        reading.source.close()
