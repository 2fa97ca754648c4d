"""What the tests of pipelines share: Kafka brokers in memory."""

from __future__ import annotations

import pytest

from pipelines.sources import kafka_reading
from tests.pipelines.sources.mock_kafka import Brokers


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    # The mock knows no topic ids, and says so by silence.
    monkeypatch.setattr(kafka_reading, "IDENTITY_SECONDS", 0.2)
    return Brokers()
