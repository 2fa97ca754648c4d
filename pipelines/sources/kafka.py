"""The Kafka source: partitions found, taken up at the catalogue's cursors, read into batches, losses said aloud.

The embedded run asks it for a round's batches; on a cluster each lane reads its share of the partitions through it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from errors import LiucunError, UnreachableError, UsageError
from pipelines.batches import RawBatch
from pipelines.sources.caution import Caution
from pipelines.sources.kafka_ledger import Ledger, Loss, Position, TopicPartition, waiting
from pipelines.sources.kafka_reading import KafkaReader
from pipelines.sources.problems import SourceProblem
from pipelines.sources.spec import SourceSpec
from retention.catalogue import progress
from retention.catalogue.engine import Catalogue

RESCAN_SECONDS: Final = 10.0
"""How often new partitions are looked for."""
PATIENCE_SECONDS: Final = 30.0
"""How long a run that does not follow waits for brokers that stopped answering."""
_WAIT_SECONDS: Final = 0.5


class KafkaSource:
    """Plans the batches of one declared source; one thread at a time.

    Every batch handed out must be committed before ``plan`` is called again, or the source be made anew: it reads on
    from where it was, not from the cursor. ``mine`` says which partitions are this reader's (default: all).
    """

    def __init__(
        self,
        spec: SourceSpec,
        catalogue: Catalogue,
        *,
        follow: bool = False,
        batch_bytes: int = 8 << 20,
        mine: Callable[[TopicPartition], bool] | None = None,
    ) -> None:
        if spec.kafka is None:
            raise UsageError(f"The source {spec.name!r} has no kafka section.", cure="Add [source.kafka] to it.")
        self.spec = spec
        self._follow = follow
        self._mine = mine or (lambda _place: True)
        self._ledger = Ledger(spec.name, catalogue)
        self._caution = Caution(spec, catalogue)
        self._put_off: dict[str, Position] = {}
        self._reader = KafkaReader(spec.name, spec.kafka, batch_bytes=batch_bytes)
        self._topics = spec.kafka.topics
        self._scanned: float | None = None
        self._missing: list[SourceProblem] = []
        self._lost: list[SourceProblem] = []
        self._mean_bytes = 256.0

    @property
    def problems(self) -> list[SourceProblem]:
        """What could not be read, and what was lost."""
        return [*self._lost, *self._caution.problems, *self._missing]

    def lag(self) -> int:
        """Bytes that wait, about: messages known times their mean size so far."""
        return int(self._reader.lag() * self._mean_bytes)

    def lags(self) -> dict[str, int]:
        """Messages known to wait, by topic and partition."""
        return self._reader.lags()

    def done(self) -> bool:
        """Whether every partition's end was reached; never so while following."""
        return not self._follow and self._scanned is not None and self._reader.ended() and not self.waiting

    @property
    def waiting(self) -> bool:
        """Whether a partition is put off for a while, because workers died over its next message."""
        return bool(self._put_off)

    def plan(self, max_bytes: int) -> list[RawBatch]:
        """The next batches, of about ``max_bytes`` together; none when nothing (more) is there.

        Raises:
            UnreachableError: the brokers do not answer (while following: only at the start).
            NotPermittedError: they refuse this client.
            StorageError: the catalogue cannot be used.
        """
        if self._scanned is None or (self._follow and time.monotonic() - self._scanned >= RESCAN_SECONDS):
            self._scan()
        self._take_up_again()
        if not self._reader.reading:
            return []
        waited = time.monotonic()
        while True:
            batches = self._reader.read(max_bytes, _WAIT_SECONDS)
            if self._reader.moved:
                self._settle_or_wait()
            if batches or self._follow or self._put_off or self._reader.ended():
                break
            if time.monotonic() - waited > PATIENCE_SECONDS:
                raise self._reader.unreachable()
        return self._handed_out(batches)

    def read(self, max_bytes: int, seconds: float) -> list[RawBatch]:
        """What comes within ``seconds``, for a lane that must give its place back soon. Raises as ``plan`` does."""
        if self._scanned is None or time.monotonic() - self._scanned >= RESCAN_SECONDS:
            self._scan()
        self._take_up_again()
        batches = self._reader.read(max_bytes, seconds) if self._reader.reading else []
        if self._reader.moved:
            self._settle()
        return self._handed_out(batches)

    def close(self) -> None:
        """Give the connections back."""
        self._reader.close()

    def _handed_out(self, batches: list[RawBatch]) -> list[RawBatch]:
        self._measure(batches)
        return self._caution.guarded(batches)

    def _measure(self, batches: list[RawBatch]) -> None:
        messages = sum(len(raw.messages) for raw in batches if raw.messages is not None)
        if messages:
            self._mean_bytes = sum(len(raw.data) for raw in batches) / messages

    def _scan(self) -> None:
        """Look for partitions that are not read yet, and for topics that are not there."""
        first = self._scanned is None
        try:
            found = self._reader.partitions()
        except LiucunError as error:
            if first or not self._follow:
                raise
            self._missing = [SourceProblem(self.spec.name, error.what)]
            self._scanned = time.monotonic()
            return
        self._scanned = time.monotonic()
        self._missing = _missing(self._topics, found)
        known = {(p.place.topic, p.place.number): p for p in self._reader.reading}
        for place in found:
            if not self._mine(place):
                continue
            before = known.get((place.topic, place.number))
            if before is None or (place.topic_id and before.place.topic_id and place.topic_id != before.place.topic_id):
                try:
                    self._take_up(place)
                except UnreachableError as error:
                    if first or not self._follow:
                        raise
                    self._missing = [*self._missing, SourceProblem(place.path, error.what)]
                    return  # the next look tries again

    def _settle_or_wait(self) -> None:
        """Settle what moved; while following, brokers that are away are waited for."""
        try:
            self._settle()
        except UnreachableError as error:
            if not self._follow:
                raise
            self._missing = [SourceProblem(self.spec.name, error.what)]

    def _take_up(self, place: TopicPartition) -> None:
        self._put_off.pop(place.path, None)
        marks = self._reader.watermarks(place)
        if marks is None:
            # Made or deleted this moment: the next look decides.
            self._reader.drop((place.topic, place.number))
            return
        low, high = marks
        position, loss = self._ledger.take_up(place, low, high)
        self._say(loss)
        if position.cursor < low:
            position = self._overtaken(position, low)
        if self._caution.take_up(position.partition, position.cursor):
            self._reader.assign([position])
        else:
            self._reader.drop((place.topic, place.number))
            self._put_off[place.path] = position

    def _take_up_again(self) -> None:
        """Take up what was put off, where the time for it has come."""
        for position in [item for item in self._put_off.values() if self._caution.due(item.partition)]:
            try:
                self._take_up(position.place)
            except UnreachableError as error:
                if not self._follow:
                    raise
                self._missing = [SourceProblem(position.place.path, error.what)]  # the next look tries again

    def _settle(self) -> None:
        """Deal with partitions whose next offset the brokers no longer have."""
        places = {(place.topic, place.number): place for place in self._reader.partitions()}
        for key in sorted(self._reader.moved):
            place = places.get(key)
            if place is None:
                self._lost.append(SourceProblem(f"{key[0]}/{key[1]}", "the topic is gone; it is looked for again"))
                self._reader.drop(key)
            else:
                self._take_up(place)

    def _overtaken(self, position: Position, low: int) -> Position:
        loss = self._ledger.overtaken(position, low)
        self._say(loss)
        return Position(position.place, position.partition, self._ledger.cursor(position.partition))

    def _say(self, loss: Loss | None) -> None:
        if loss is not None:
            self._lost.append(SourceProblem(loss.partition, str(loss)))


class KafkaLag:
    """How far the catalogue's cursors are behind the brokers' ends, for whoever watches over a run elsewhere.

    ``missing`` names the topics that the last look did not find, by source.
    """

    def __init__(self, specs: Iterable[SourceSpec], catalogue: Catalogue) -> None:
        self.missing: dict[str, list[SourceProblem]] = {}
        self._catalogue = catalogue
        kafka = [(spec.name, spec.kafka) for spec in specs if spec.kafka is not None]
        self._topics = {name: settings.topics for name, settings in kafka}
        self._readers = {name: KafkaReader(name, settings, batch_bytes=1 << 20) for name, settings in kafka}

    def messages(self) -> dict[tuple[str, str], int]:
        """Offsets that wait, by source and partition (``TOPIC/NUMBER``); all of a partition not taken up yet.

        At least 1 where a loss is not on record yet.

        Raises:
            UnreachableError: the brokers do not answer.
            NotPermittedError: they refuse this client.
            StorageError: the catalogue cannot be read.
        """
        found: dict[tuple[str, str], int] = {}
        missing: dict[str, list[SourceProblem]] = {}
        for name, reader in self._readers.items():
            with self._catalogue.read() as connection:
                # By generation: the newest of a path comes last.
                newest = {item.path: item for item in progress.partitions(connection, name)}
            places = reader.partitions()
            missing[name] = _missing(self._topics[name], places)
            for place in places:
                if (marks := reader.watermarks(place)) is not None:
                    found[name, place.path] = waiting(newest.get(place.path), place, *marks)
        self.missing = missing
        return found

    def close(self) -> None:
        """Give the connections back."""
        for reader in self._readers.values():
            reader.close()


def _missing(topics: Iterable[str], found: Iterable[TopicPartition]) -> list[SourceProblem]:
    there = {place.topic for place in found}
    return [SourceProblem(topic, "there is no such topic (yet)") for topic in topics if topic not in there]
