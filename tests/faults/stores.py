"""Stores that a fault sweep opens thousands of times: the real ones, with a key ring cheap to open and a custodian."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from retention.store import CustodianSettings, Store, StoreSettings

SECRET: Final = "a passphrase of tests"
_SETTINGS: Final = StoreSettings(custodian=CustodianSettings(checkpoints="../notary"))


def create_store(folder: Path) -> None:
    """A fresh store below a new folder, and its custodian's."""
    from retention.keys import keyring
    from retention.keys.passphrase import Cost

    folder.mkdir()
    (folder / "notary").mkdir()
    create, cheap = keyring.KeyRing.create, Cost(memory_kib=64, iterations=1)
    keyring.KeyRing.create = classmethod(lambda cls, path, secret: create(path, secret, cost=cheap))  # type: ignore[method-assign, assignment]
    try:
        Store.create(folder / "store", _SETTINGS, SECRET)
    finally:
        keyring.KeyRing.create = create  # type: ignore[method-assign]


def open_store(folder: Path) -> Store:
    """The store of a trial's folder, with every table there is."""
    from liucun.store import prepare_tables

    store = Store.open(folder / "store", _SETTINGS, SECRET)
    prepare_tables(store.catalogue)
    return store
