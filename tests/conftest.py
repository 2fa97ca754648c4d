"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from argon2 import PasswordHasher
from hypothesis import settings

from console.access import passwords
from liucun.store import prepare_tables
from retention.keys.passphrase import DEFAULT_COST
from retention.store import Store, StoreSettings

pytest_plugins = ["tests.services.plugin"]

# An example's time says nothing on a busy machine, nor where the first one compiles; what must be quick has a test.
settings.register_profile("liucun", deadline=None)
settings.load_profile("liucun")

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data beside the project; tests that need it skip visibly without it."""
    if not SHARED.is_dir():
        pytest.skip("the real data (../shared/data) is not here")
    return SHARED


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty archive with every room's tables; rooms that need another kind of store have their own of this name."""
    Store.create(tmp_path / "store", StoreSettings(), "a passphrase for tests")
    with Store.open(tmp_path / "store", StoreSettings(), "a passphrase for tests") as opened:
        prepare_tables(opened.catalogue)
        yield opened


@pytest.fixture(scope="session", autouse=True)
def _cheap_passphrases() -> Iterator[None]:
    """Argon2id at a low cost in this process: tests open stores thousands of times, and its strength is not theirs.

    Commands that tests start as processes of their own keep the product's cost.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))
        for name, value in {"memory_kib": 1024, "iterations": 1, "lanes": 1}.items():
            object.__setattr__(DEFAULT_COST, name, value)
        yield


@pytest.fixture(scope="session", autouse=True)
def _migrated_once() -> Iterator[None]:
    """Of an empty SQLite database each room's migrations run once in this process; later ones repeat their statements.

    Thousands of tests make stores, and Alembic takes most of that time. What is not new, or not SQLite, is migrated as
    in the product, and so is everything that a command in a process of its own makes.
    """
    migrated = command.upgrade
    known: dict[tuple[object, ...], list[tuple[str, Any]]] = {}

    @wraps(migrated)
    def upgrade(config: Config, revision: str) -> None:
        connection: sa.Connection = config.attributes["connection"]
        there = sa.inspect(connection).get_table_names() if connection.dialect.name == "sqlite" else None
        version = config.attributes["version_table"]
        if there is None or version in there or any(_rows(connection, name) for name in there):
            migrated(config, revision)
            return
        case = (config.get_main_option("script_location"), revision, version, *there)
        if case not in known:
            ran: list[tuple[str, Any]] = []

            def note(_c: object, _u: object, statement: str, parameters: Any, _x: object, _m: object) -> None:
                ran.append((statement, parameters))

            sa.event.listen(connection, "before_cursor_execute", note)
            try:
                migrated(config, revision)
            finally:
                sa.event.remove(connection, "before_cursor_execute", note)
            known[case] = [(statement, given) for statement, given in ran if not _reads(statement)]
            return
        for statement, given in known[case]:
            connection.exec_driver_sql(statement, given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "upgrade", upgrade)
        yield


def _rows(connection: sa.Connection, name: str) -> bool:
    """Whether a table that is no version table has a row: a migration may look at it."""
    if name.startswith("alembic_version_"):
        return False
    return connection.exec_driver_sql(f'SELECT 1 FROM "{name}" LIMIT 1').first() is not None


def _reads(statement: str) -> bool:
    return statement.lstrip().upper().startswith("SELECT")
