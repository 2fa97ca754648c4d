"""A sealed archive for the tests of asking and proving."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retention.sealed_store import SealedStore, make_store


@pytest.fixture
def sealed(tmp_path: Path, catalogue_url: str) -> Iterator[SealedStore]:
    """A fresh store with nothing in it."""
    root = tmp_path / "store"
    root.mkdir()
    made = make_store(root, catalogue_url)
    yield made
    made.catalogue.close()
    made.period_keys.close()
