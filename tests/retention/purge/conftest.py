"""An archive whose clock tests turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retention.policies.world import World, close, make_world


@pytest.fixture
def world(tmp_path: Path, catalogue_url: str) -> Iterator[World]:
    made = make_world(tmp_path / "world", catalogue_url)
    yield made
    close(made)
