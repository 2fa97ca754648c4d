"""The catalogue's engine, its migration, and the record of progress."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import StorageError
from retention.catalogue import events, progress
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.catalogue.tables import events as event_table
from retention.catalogue.tables import metadata


@pytest.fixture
def catalogue(catalogue_url: str):
    opened = Catalogue.open(catalogue_url)
    migrate(opened)
    yield opened
    opened.close()


def test_migrations_make_the_tables_that_the_code_declares(catalogue: Catalogue) -> None:
    inspector = sa.inspect(catalogue.engine)
    for table in metadata.sorted_tables:
        found = {column["name"]: column for column in inspector.get_columns(table.name)}
        assert set(found) == {column.name for column in table.columns}, table.name
        assert {n for n, c in found.items() if not c["nullable"]} == {c.name for c in table.columns if not c.nullable}


def test_migrating_twice_changes_nothing(catalogue: Catalogue) -> None:
    migrate(catalogue)


def test_a_failed_transaction_leaves_nothing(catalogue: Catalogue) -> None:
    with pytest.raises(RuntimeError), catalogue.write() as connection:
        events.append(connection, kind="k", actor="a", subject="s", body={})
        raise RuntimeError
    with catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(event_table)).scalar_one() == 0


def test_an_event_outside_a_write_transaction_is_refused_and_not_lost(catalogue: Catalogue) -> None:
    with pytest.raises(RuntimeError), catalogue.write() as connection:
        events.append(connection, kind="k", actor="a", subject="s", body={})
        raise RuntimeError
    # The same connection of the pool: what the failed transaction left must not be in it either.
    with catalogue.read() as connection, pytest.raises(KeyError):
        events.append(connection, kind="k", actor="a", subject="s", body={})


def test_events_are_numbered_in_order(catalogue: Catalogue) -> None:
    with catalogue.write() as connection:
        events.append(connection, kind="k", actor="a", subject="s", body={"n": 1})
        events.append_many(connection, [("s", {"n": 2}), ("s", {"n": 3})], kind="k", actor="a")
    with catalogue.read() as connection:
        rows = connection.execute(sa.select(event_table.c.id, event_table.c.body).order_by(event_table.c.id)).all()
    assert [r.id for r in rows] == [1, 2, 3]
    assert [json.loads(r.body) for r in rows] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert rows[2].body == '{"n":3}'


def test_progress_plans_follow_the_cursor(catalogue: Catalogue) -> None:
    with catalogue.write() as connection:
        progress.add_partition(connection, source="s", partition="p#1", path="/p", generation=1)
        planned = [
            progress.PlannedRange("s", "p#1", 0, 10, "aa", first=True, last=False),
            progress.PlannedRange("s", "p#1", 10, 20, "bb", first=False, last=True),
        ]
        progress.plan(connection, planned)
    with catalogue.read() as connection:
        assert progress.unfinished(connection, "s") == planned
        (partition,) = progress.partitions(connection, "s")
    assert (partition.cursor, partition.planned, partition.finished) == (0, 20, False)


def test_an_unknown_partition_is_an_error(catalogue: Catalogue) -> None:
    with pytest.raises(StorageError, match="no partition"), catalogue.write() as connection:
        progress.finish_partition(connection, "s", "nowhere")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StorageError, match="damaged"), Catalogue.open(f"sqlite:///{path}").write():
        pass
