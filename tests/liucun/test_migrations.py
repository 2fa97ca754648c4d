"""Migrations of all rooms together, and what tests repeat instead of running them."""

from __future__ import annotations

import inspect
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from console.migrate import prepare_tables as prepare_console
from liucun.store import prepare_tables
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.disclosure.prepare import prepare_disclosure
from retention.policies.prepare import prepare_policies
from retention.search.prepare import prepare_search


def made(file: Path) -> list[str]:
    """The statements that make a database as all rooms' migrations leave it."""
    with closing(Catalogue.open(f"sqlite:///{file}")) as catalogue:
        migrate(catalogue)
        for prepare in (prepare_policies, prepare_search, prepare_disclosure, prepare_tables, prepare_console):
            prepare(catalogue)
    with closing(sqlite3.connect(file)) as database:
        return list(database.iterdump())


def test_what_tests_repeat_makes_the_same_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``_migrated_once`` in tests/conftest.py against the product's own way."""
    repeated = [made(tmp_path / "first.db"), made(tmp_path / "second.db")]
    monkeypatch.setattr(command, "upgrade", inspect.unwrap(command.upgrade))
    migrated = made(tmp_path / "third.db")
    assert len(migrated) > 100
    assert repeated == [migrated, migrated]
