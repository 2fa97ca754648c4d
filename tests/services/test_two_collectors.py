"""Two collectors, processes of their own, on one catalogue and the same files: nothing twice, nothing lost.

The short form; `python -m tests.services.two_collectors` is the long one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import servers
from tests.services.two_collectors import Places, locally, on_servers, run_trial

pytestmark = pytest.mark.timeout(1800)  # dozens of processes: on a busy machine each takes its time


@pytest.fixture(
    params=[pytest.param("local", marks=pytest.mark.slow), pytest.param("servers", marks=pytest.mark.services)]
)
def places(request: pytest.FixtureRequest) -> Iterator[Places]:
    if request.param == "local":
        yield locally()
        return
    admin = request.getfixturevalue("postgres_admin")
    with servers.database(admin) as catalogue, servers.database(admin) as periods:
        yield on_servers(catalogue, periods, request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket"))


def test_two_collectors_take_in_everything_once(places: Places, tmp_path: Path) -> None:
    seen = run_trial(tmp_path, places, records=60_000)
    print(seen)
    assert seen.records > 30_000


def test_collectors_that_are_killed_leave_nothing_twice_and_nothing_out(places: Places, tmp_path: Path) -> None:
    seen = run_trial(tmp_path, places, records=30_000, collectors=3, kills=3, seed=5)
    print(seen)
    assert seen.kills == 3
