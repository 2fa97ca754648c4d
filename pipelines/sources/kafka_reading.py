"""Reads partitions of Kafka topics from given offsets and makes batches of what comes.

Each message is one record. A range runs from the offset expected next to just past the last message, so that holes
(compaction, transactions' markers) lie inside ranges; at a partition's end the range reaches what the broker calls its
end. The broker's word that an offset is gone is handed to the caller: nothing is ever skipped here.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import confluent_kafka
import numpy as np
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # as its manual says

from errors import IntegrityError, LiucunError, SettingsError
from pipelines.batches import Messages, Place, RawBatch
from pipelines.sources.kafka_ledger import Position, TopicPartition
from pipelines.sources.kafka_refusals import refused, refuses, silent
from pipelines.sources.kafka_settings import KafkaSettings, client_config, consumer_config

ANSWER_SECONDS: Final = 10.0
"""How long a question to the brokers may take."""
IDENTITY_SECONDS: Final = 3.0
SILENCES: Final = 3
"""How often brokers that never told a topic's id may be silent when asked, until they are taken to have none."""
_MOST_MESSAGES: Final = 10_000
_LEAST_BYTES: Final = 64
"""What a message counts at the least: a backlog of empty ones would else be held in memory whole."""
_STEP_SECONDS: Final = 0.05
_MOVED: Final = {
    KafkaError._AUTO_OFFSET_RESET,
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}

Key = tuple[str, int]


class OffsetOrderError(IntegrityError):
    """The broker delivered messages out of order, or before the offset that was asked for."""


@dataclass(slots=True)
class _Open:
    """A partition being read: the offset expected next, and whether its end was reached."""

    position: Position
    offset: int
    ended: bool = False


class KafkaReader:
    """A consumer of chosen partitions. One thread at a time; close it. After a ``read`` that raised it must not be used
    again: what came before the error is gone, and would look like offsets without a message.

    ``moved`` names partitions whose expected offset the brokers do not have, or which they no longer know: the caller
    looks at their watermarks, settles it with the ledger and assigns them again.

    Raises:
        SettingsError: a password, certificate or key cannot be used.
    """

    def __init__(self, source: str, settings: KafkaSettings, *, batch_bytes: int) -> None:
        self.source = source
        self.moved: set[Key] = set()
        self._batch_bytes = batch_bytes
        self._topics = settings.topics
        self._open: dict[Key, _Open] = {}
        self._failure: KafkaError | None = None
        self._tells_ids: bool | None = None
        self._silences = 0
        quiet = {"error_cb": self._failed, "logger": _SILENT}
        try:
            self._consumer = Consumer(consumer_config(settings, queued_bytes=2 * batch_bytes) | quiet)
            self._admin = AdminClient(client_config(settings) | quiet)
        except KafkaException as error:
            raise SettingsError(
                f"The Kafka client of source {source!r} cannot be made: {error.args[0].str()}.",
                cure="Check the files and values of [source.kafka].",
            ) from error

    # What the brokers have

    def partitions(self) -> list[TopicPartition]:
        """Every partition of the source's topics, with the topics' ids where the brokers tell them.

        Raises:
            UnreachableError: no broker answers.
            NotPermittedError: the brokers refuse this client.
        """
        try:
            answers = {
                topic: self._admin.list_topics(topic, ANSWER_SECONDS).topics.get(topic) for topic in self._topics
            }
        except KafkaException as failure:
            raise self._unreachable(failure.args[0]) from failure
        self._failure = None
        known: dict[str, list[int]] = {}
        for topic, found in answers.items():
            error = None if found is None else found.error
            if found is not None and error is None:
                known[topic] = sorted(found.partitions)
            elif error is not None and refuses(error):
                raise refused(error, topic)
        ids = self._topic_ids(list(known))
        return [TopicPartition(topic, number, ids.get(topic)) for topic, numbers in known.items() for number in numbers]

    def watermarks(self, place: TopicPartition) -> tuple[int, int] | None:
        """The oldest offset left and the end of what may be read of a partition; None if the brokers do not know it.

        Raises:
            UnreachableError: no broker answers.
        """
        asked = _of(place.topic, place.number)
        found = []
        for mark in (OffsetSpec.earliest(), OffsetSpec.latest()):  # type: ignore[no-untyped-call] # its
            answer = self._admin.list_offsets(
                {asked: mark}, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=ANSWER_SECONDS
            )
            try:
                found.append(int(answer[asked].result(2 * ANSWER_SECONDS).offset))
            except KafkaException as error:
                if error.args[0].code() in _MOVED:
                    return None
                raise self._unreachable(error.args[0]) from error
            except TimeoutError as error:
                raise self._unreachable(None) from error
        return found[0], found[1]

    # Reading

    def assign(self, positions: Iterable[Position]) -> None:
        """Read these partitions too, from their cursors; one that is being read already goes on from there anew."""
        fresh = list(positions)
        again = [_of(p.place.topic, p.place.number) for p in fresh if _key(p) in self._open]
        if again:
            self._consumer.incremental_unassign(again)
        self._consumer.incremental_assign([_of(p.place.topic, p.place.number, p.cursor) for p in fresh])
        for position in fresh:
            self._open[_key(position)] = _Open(position, position.cursor)
            self.moved.discard(_key(position))

    def drop(self, key: Key) -> None:
        """Read a partition no more."""
        if self._open.pop(key, None) is not None:
            self._consumer.incremental_unassign([_of(*key)])
        self.moved.discard(key)

    @property
    def reading(self) -> list[Position]:
        """The partitions being read, as they were assigned."""
        return [item.position for item in self._open.values()]

    def ended(self) -> bool:
        """Whether the end of every partition was reached and nothing came since."""
        return all(item.ended for item in self._open.values())

    def lag(self) -> int:
        """Messages known to wait; what the client last heard."""
        return sum(self.lags().values())

    def lags(self) -> dict[str, int]:
        """The same by partition (``TOPIC/NUMBER``)."""
        waiting: dict[str, int] = {}
        for key, item in self._open.items():
            found = self._consumer.get_watermark_offsets(_of(*key), cached=True)
            if found is not None:
                waiting[f"{key[0]}/{key[1]}"] = max(int(found[1]) - item.offset, 0)
        return waiting

    def read(self, max_bytes: int, seconds: float) -> list[RawBatch]:
        """Batches of about ``max_bytes`` together, of what comes within ``seconds``; sooner at every end.

        Raises:
            NotPermittedError: the brokers refuse this client.
            OffsetOrderError: the broker's answer contradicts what was asked.
        """
        found: dict[Key, list[Any]] = defaultdict(list)
        ends: dict[Key, int] = {}
        size, deadline, more = 0, time.monotonic() + seconds, False
        while size < max_bytes and ((left := deadline - time.monotonic()) > 0 or more):
            messages: list[Any] = list(self._consumer.consume(_MOST_MESSAGES, min(max(left, 0.0), _STEP_SECONDS)))
            # A backlog is read in big batches however short the time is.
            more = len(messages) == _MOST_MESSAGES
            for message in messages:
                if message.error() is None:
                    found[message.topic(), message.partition()].append(message)
                    size += max(len(message), _LEAST_BYTES)
                else:
                    self._event(message, ends)
            self._raise_refusal()
            if not messages and (found or (self.ended() and self._open)):
                break
        batches = [raw for key in found.keys() | ends.keys() for raw in self._batches(key, found.get(key, []), ends)]
        return sorted(batches, key=lambda raw: (raw.place.partition, raw.place.start))

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def _event(self, message: Any, ends: dict[Key, int]) -> None:
        error, key = message.error(), (message.topic(), message.partition())
        if error.code() == KafkaError._PARTITION_EOF:
            ends[key] = message.offset()
        elif error.code() in _MOVED and key in self._open:
            self.moved.add(key)
        elif refuses(error):
            raise refused(error, message.topic())
        else:
            self._failure = error

    def _batches(self, key: Key, messages: list[Any], ends: dict[Key, int]) -> Iterable[RawBatch]:
        item = self._open.get(key)
        if item is None:
            return
        item.ended = key in ends
        values = [message.value() or b"" for message in messages]
        offsets = np.fromiter((message.offset() for message in messages), np.int64, len(messages))
        if len(offsets) and (int(offsets[0]) < item.offset or bool((np.diff(offsets) <= 0).any())):
            raise OffsetOrderError(
                f"{item.position.partition}: offset {item.offset} was expected, the broker delivered {offsets[0]}.",
                cure="Nothing of it was archived. Check the brokers' logs and run again.",
            )
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        bounds = _cuts(np.cumsum(lengths), self._batch_bytes)
        for begin, end in pairwise(bounds):
            last = int(offsets[end - 1]) + 1
            yield self._raw(item, last, values[begin:end], offsets[begin:end], lengths[begin:end])
        if ends.get(key, -1) > item.offset:
            # Nothing but a transaction's marker or compacted offsets up to the end.
            yield self._raw(item, ends[key], [], offsets[:0], lengths[:0])

    def _raw(self, item: _Open, end: int, values: list[bytes], offsets: Any, lengths: Any) -> RawBatch:
        start, item.offset = item.offset, end
        return RawBatch(
            place=Place(self.source, item.position.partition, start, end),
            data=b"".join(values),
            first=start == 0,
            last=False,
            messages=Messages(offsets, np.cumsum(lengths)),
        )

    # When it goes wrong

    def _failed(self, error: KafkaError) -> None:
        # That every broker is down is said after each reason for it, a refused password among them.
        if self._failure is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._failure = error

    def _raise_refusal(self) -> None:
        if self._failure is not None and refuses(self._failure):
            raise refused(self._failure, ", ".join(self._topics))

    def unreachable(self) -> LiucunError:
        """The error of a read that got nowhere."""
        return self._unreachable(self._failure)

    def _unreachable(self, error: KafkaError | None) -> LiucunError:
        # Why the brokers are silent (a refused password, a certificate) the client tells by callback only.
        self._admin.poll(0)
        reason = error if self._failure is None else self._failure
        if reason is not None and refuses(reason):
            return refused(reason, ", ".join(self._topics))
        return silent(reason, self.source)

    def _topic_ids(self, topics: list[str]) -> dict[str, str]:
        """Ids of topics; brokers before 2.8, and some services, tell none: they are not asked for ever.

        Those that told one are: without its id a topic that was made anew and has grown past the cursor passes for the
        old one.
        """
        if not topics or self._tells_ids is False:
            return {}
        found: dict[str, str] = {}
        silent = False
        asked = self._admin.describe_topics(TopicCollection(topics), request_timeout=IDENTITY_SECONDS)
        for topic, future in asked.items():
            try:
                shown = str(future.result(ANSWER_SECONDS).topic_id)
            except (KafkaException, TimeoutError):
                silent = True
                continue
            if shown.strip("A=") and shown != "None":
                found[topic] = shown
        self._silences += silent
        if found:
            self._tells_ids = True
        elif self._tells_ids is None and (not silent or self._silences >= SILENCES):
            self._tells_ids = False
        return found


def _cuts(sizes: Any, batch_bytes: int) -> list[int]:
    """Where to cut messages of these cumulated sizes into batches of about ``batch_bytes``."""
    cuts = [0]
    while cuts[-1] < len(sizes):
        before = int(sizes[cuts[-1] - 1]) if cuts[-1] else 0
        cuts.append(max(int(np.searchsorted(sizes, before + batch_bytes, side="right")), cuts[-1] + 1))
    return cuts


def _of(topic: str, number: int, offset: int | None = None) -> Any:
    if offset is None:
        return confluent_kafka.TopicPartition(topic, number)
    return confluent_kafka.TopicPartition(topic, number, offset)


def _key(position: Position) -> Key:
    return position.place.topic, position.place.number


class _Silent:
    """Takes the client library's log lines; its errors come by callback and are raised or shown as problems."""

    def log(self, *_args: object) -> None:
        """Drop a line."""


_SILENT: Final = _Silent()
