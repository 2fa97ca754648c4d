"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["tests.services.plugin"]

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data beside the project; tests that need it skip visibly without it."""
    if not SHARED.is_dir():
        pytest.skip("the real data (../shared/data) is not here")
    return SHARED
