"""The short form of ``python -m tests.faults.kill_collector``."""

from __future__ import annotations

import pytest

from tests.faults.kill_collector import kill_collector


@pytest.mark.slow
def test_every_answered_line_is_archived_exactly_once(tmp_path) -> None:
    assert "exactly once" in kill_collector(tmp_path, kills=3)
