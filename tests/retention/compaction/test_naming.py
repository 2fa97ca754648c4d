"""An object that waited for its name too long: either what names it is committed, or it is collected, never both."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from retention.catalogue.naming import TombstoneError, take_names
from retention.catalogue.retrying import retried
from retention.catalogue.tables import log_entries, tombstones
from retention.compaction.collect import collect
from retention.objects.local import LocalObjects

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=2)
NAME = "log/entries/000000000000-000000000003-00.lce"
MOMENT = 0.4
"""Seconds in which whoever does not wait for the other would be through."""


@pytest.fixture
def catalogue(bare_catalogue: Catalogue) -> Catalogue:
    return bare_catalogue


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    made = LocalObjects(tmp_path / "objects")
    made.put(NAME, b"durable, and not named yet")
    return made


def named(connection: sa.Connection) -> None:
    take_names(connection, [NAME])
    connection.execute(log_entries.insert().values(start=0, end=3, object_name=NAME))


def waits(work: Future[Any]) -> bool:
    """Whether it is still waiting after a while."""
    return bool(wait([work], timeout=MOMENT).not_done)


@pytest.mark.parametrize("row_locks", [True, False])
def test_a_name_that_is_being_committed_is_not_condemned(
    catalogue: Catalogue, objects: LocalObjects, row_locks: bool
) -> None:
    assert collect(catalogue, objects, now=NOW).waiting == 1
    with ThreadPoolExecutor(1) as pool:
        with catalogue.write(row_locks=row_locks) as connection:
            named(connection)
            collecting = pool.submit(collect, catalogue, objects, now=LATER)
            assert waits(collecting)
        assert collecting.result(timeout=60).orphans == 0
    assert objects.exists(NAME)
    with catalogue.read() as connection:
        assert connection.execute(sa.select(tombstones)).all() == []


@pytest.mark.parametrize("row_locks", [True, False])
def test_a_name_that_is_being_condemned_is_not_committed(
    catalogue: Catalogue, objects: LocalObjects, row_locks: bool
) -> None:
    collect(catalogue, objects, now=NOW)

    def late() -> None:
        with catalogue.write(row_locks=row_locks) as connection:
            named(connection)

    with ThreadPoolExecutor(1) as pool:
        with catalogue.write() as connection:
            connection.execute(tombstones.update().values(condemned_at=f"{LATER:%Y-%m-%dT%H:%M:%S.000000Z}"))
            committing = pool.submit(retried, catalogue, late)
            assert waits(committing)
        assert isinstance(committing.exception(timeout=60), TombstoneError)
    assert collect(catalogue, objects, now=LATER).orphans == 1
    assert not objects.exists(NAME)
    with catalogue.read() as connection:
        assert connection.execute(sa.select(log_entries)).all() == []
