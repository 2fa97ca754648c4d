"""A store with the follower's tables, a stand-in for its server, and both together in either form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retention.search.prepare import prepare_search
from tests.retention.policies.world import World, close, make_world
from tests.retention.search.followed import Followed, settings_of
from tests.retention.search.standin import StandIn, standing_in


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path / "world")
    prepare_search(made.catalogue)
    yield made
    close(made)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with standing_in() as state:
        yield state


@pytest.fixture
def streamed(world: World, server: StandIn) -> Followed:
    return Followed(world, server, settings_of(server, data_streams=True))


@pytest.fixture(params=[True, False], ids=["streams", "indices"])
def either(world: World, server: StandIn, request: pytest.FixtureRequest) -> Followed:
    return Followed(world, server, settings_of(server, data_streams=request.param))
