"""An archive with two persons' records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retention.policies.world import World, at, close, make_world, order


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path / "world")
    day = at("2026-01-05")
    made.ingest(
        [
            {"event_time": day, "user_id": "alice", "event_action": "login", "source_ip": "10.0.0.1"},
            {"event_time": day, "user_id": "bob", "event_action": "login"},
            {"event_time": day, "event_action": "probe"},
        ]
    )
    made.ingest(
        [
            {**order("A", "paid", "2026-01-05"), "user_id": "bob", "counterparty_id": "alice"},
            {**order("B", "paid", "2026-02-05"), "user_id": "alice", "counterparty_id": "shop"},
            {**order("C", "paid", "2026-02-06"), "user_id": "bob", "counterparty_id": "shop"},
        ],
        "transaction",
    )
    yield made
    close(made)
