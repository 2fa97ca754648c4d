"""librdkafka's mock brokers: a real peer of the protocol in memory; a source that reads them, and its audit."""

from __future__ import annotations

import json

from confluent_kafka import Producer

from pipelines.sources.spec import SourceSpec
from retention.audits.coverage import audit_coverage
from retention.store import Store

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


def faults(store: Store) -> list[tuple[str, str]]:
    return [(finding.kind, finding.where) for finding in audit_coverage(store).faults]
