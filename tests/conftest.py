"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from console.access import passwords
from retention.keys.passphrase import DEFAULT_COST

pytest_plugins = ["tests.services.plugin"]

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data beside the project; tests that need it skip visibly without it."""
    if not SHARED.is_dir():
        pytest.skip("the real data (../shared/data) is not here")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _cheap_passphrases() -> Iterator[None]:
    """Argon2id at a low cost in this process: tests open stores thousands of times, and its strength is not theirs.

    Commands that tests start as processes of their own keep the product's cost.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))
        for name, value in {"memory_kib": 1024, "iterations": 1, "lanes": 1}.items():
            object.__setattr__(DEFAULT_COST, name, value)
        yield
