"""The ids by which the Kafka source knows a topic that was made anew: asked of the brokers, who may be silent."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pipelines.sources import kafka_reading
from pipelines.sources.kafka_settings import KafkaSettings
from tests.pipelines.sources.mock_kafka import TOPIC


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
    reader = kafka_reading.KafkaReader(
        "k", KafkaSettings(brokers=("127.0.0.1:1",), topics=(TOPIC,)), batch_bytes=1 << 20
    )
    answers = Answers(*told)
    reader._admin = answers
    assert [reader._topic_ids([TOPIC]) for _ in looks] == looks
    assert answers.asked == asked
    reader.close()
