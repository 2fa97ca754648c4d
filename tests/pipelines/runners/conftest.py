"""What the tests of runners share: an archive with every room's tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from liucun.store import prepare_tables
from retention.store import Store, StoreSettings

PASSPHRASE = "a passphrase for tests"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    Store.create(tmp_path / "store", StoreSettings(), PASSPHRASE)
    with Store.open(tmp_path / "store", StoreSettings(), PASSPHRASE) as opened:
        prepare_tables(opened.catalogue)
        yield opened
