"""Stores that jobs of one process share by reference: what one job gives up, another keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import KeyAccessError
from pipelines.stores import register, release, store_of
from retention.store import Store, StoreSettings

SECRET = "a passphrase of tests"


def test_a_job_that_ends_takes_no_store_from_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIUCUN_PASSPHRASE", raising=False)
    monkeypatch.delenv("LIUCUN_PASSPHRASE_FILE", raising=False)
    Store.create(tmp_path / "store", StoreSettings(), SECRET)
    with (
        Store.open(tmp_path / "store", StoreSettings(), SECRET) as one,
        Store.open(tmp_path / "store", StoreSettings(), SECRET) as other,
    ):
        ref = register(one)
        assert register(other) == ref
        assert register(one) == ref
        release(ref, one)
        release(ref, other)
        assert store_of(ref) is one
        release(ref, one)
        release(ref, one)
        with pytest.raises(KeyAccessError, match="no passphrase"):
            store_of(ref)
