"""A run killed at random moments ends exact; the long form is ``python -m tests.faults.kill_run``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kill_run import kill_runs


@pytest.mark.slow
@pytest.mark.timeout(900)  # dozens of processes one after the other: on a busy machine they take their time
def test_killed_runs_end_exact(tmp_path: Path) -> None:
    said = kill_runs(tmp_path, kills=4, data=None, records=6_000, seed=3)
    assert said.startswith("4 kills")
