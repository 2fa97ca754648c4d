"""An archive for the tests of disclosure."""

from __future__ import annotations

from datetime import timedelta

import pytest

from retention.disclosure.prepare import prepare_disclosure
from retention.policies.prepare import prepare_policies
from tests.retention.sealed_store import START, SealedStore, hours


@pytest.fixture
def archive(sealed: SealedStore) -> SealedStore:
    """A store with a hundred hours of ten users."""
    prepare_policies(sealed.catalogue)
    prepare_disclosure(sealed.catalogue)
    sealed.add(hours(50, source_ip="10.0.0.1"))
    sealed.add(hours(50, first=START + timedelta(hours=50)))
    return sealed
