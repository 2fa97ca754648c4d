"""What a Kafka client hears by callback only, in any order: why no broker answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError

from errors import LiucunError, NotPermittedError, UnreachableError
from pipelines.sources.kafka_reading import KafkaReader
from pipelines.sources.kafka_settings import KafkaSettings


@pytest.fixture
def reader() -> Iterator[KafkaReader]:
    """Of brokers that nobody runs."""
    settings = KafkaSettings.model_validate({"brokers": ["127.0.0.1:1"], "topics": ["t"]})
    with closing(KafkaReader("k", settings, batch_bytes=1 << 20)) as opened:
        opened._admin = SimpleNamespace(poll=lambda _seconds: 0)  # what this one hears itself comes at any time
        yield opened


REFUSED, DOWN, CUT = KafkaError._AUTHENTICATION, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ((REFUSED,), NotPermittedError),
        ((REFUSED, DOWN), NotPermittedError),
        ((DOWN, REFUSED), NotPermittedError),
        ((CUT, REFUSED, DOWN), NotPermittedError),
        ((REFUSED, CUT), UnreachableError),
        ((CUT, DOWN), UnreachableError),
        ((DOWN,), UnreachableError),
        ((), UnreachableError),
    ],
)
def test_a_refusal_is_told_though_all_brokers_are_down_after_it(
    reader: KafkaReader, heard: tuple[int, ...], expected: type[LiucunError]
) -> None:
    for code in heard:
        reader._failed(KafkaError(code))
    assert type(reader.unreachable()) is expected
