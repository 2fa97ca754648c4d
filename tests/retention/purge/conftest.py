"""An archive whose clock tests turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retention.policies.world import World, close, logs, make_world
from tests.retention.purge.destroying import approved, run


@pytest.fixture
def world(tmp_path: Path, catalogue_url: str) -> Iterator[World]:
    made = make_world(tmp_path / "world", catalogue_url)
    yield made
    close(made)


@pytest.fixture
def lawful(world: World) -> World:
    """One month destroyed as it should be, one kept."""
    world.ingest(logs("2024-02-01"))
    world.ingest(logs("2025-02-05"))
    made = approved(world, "2025-03-01")
    run(world, made.purge_id, "2025-03-08")
    return world
