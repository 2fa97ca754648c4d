"""What the tests of pipelines share: an archive with every room's tables, and Kafka brokers in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from liucun.store import prepare_tables
from pipelines.sources import kafka_reading
from retention.store import Store, StoreSettings
from tests.pipelines.sources.mock_kafka import Brokers

PASSPHRASE = "a passphrase for tests"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    Store.create(tmp_path / "store", StoreSettings(), PASSPHRASE)
    with Store.open(tmp_path / "store", StoreSettings(), PASSPHRASE) as opened:
        prepare_tables(opened.catalogue)
        yield opened


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    # The mock knows no topic ids, and says so by silence.
    monkeypatch.setattr(kafka_reading, "IDENTITY_SECONDS", 0.2)
    return Brokers()
