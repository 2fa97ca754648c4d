"""A sealed archive with published texts of some days, and the queue's tables beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liucun.store import TICKET_SCRIPTS
from retention.catalogue.migrate import migrate
from retention.policies.prepare import prepare_policies
from tests.retention.sealed_store import SealedStore, make_store
from tests.tickets.conftest import changed_without_event

DAY = datetime(2026, 3, 10, 4, tzinfo=UTC)
"""Noon of 10 March in Shanghai."""


@pytest.fixture
def store(tmp_path: Path, catalogue_url: str, request: pytest.FixtureRequest) -> Iterator[SealedStore]:
    made = make_store(tmp_path, catalogue_url)
    prepare_policies(made.catalogue)
    migrate(made.catalogue, room="tickets", script_location=TICKET_SCRIPTS)
    yield made
    if request.node.get_closest_marker("tampers") is None:
        assert changed_without_event(made.catalogue) == []
    made.catalogue.close()
    made.period_keys.close()


def texts(count: int, *, day: datetime = DAY, first: int = 0, **columns: object) -> list[dict[str, object]]:
    """Rows of published text, seconds apart."""
    return [
        {
            "event_time": day + timedelta(seconds=n),
            "user_id": f"u{n % 20}",
            "content_id": f"c{first + n}",
            "text": f"第 {first + n} 条评论",
            **columns,
        }
        for n in range(count)
    ]
