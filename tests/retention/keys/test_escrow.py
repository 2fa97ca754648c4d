"""Key loss, rehearsed: the store's own key ring is gone; the second custodian's copy opens the archive."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from retention.crypto.suites import suite
from retention.errors import KeyDestroyedError, KeyRefusedError, KeyRingMissingError
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from retention.objects.local import LocalObjects
from retention.segments import Archive, open_segment
from tests.retention.samples import CHEAP, segment


def test_the_escrowed_ring_opens_what_the_lost_one_sealed(tmp_path: Path) -> None:
    store, escrow = tmp_path / "store", tmp_path / "escrow"
    store.mkdir()
    escrow.mkdir()
    ring = KeyRing.create(store / "ring.json", "the store's passphrase", cost=CHEAP)
    keys = PeriodKeys.open(f"sqlite:///{store / 'periods.db'}", ring, create=True)
    archive = Archive(LocalObjects(store / "objects"), keys, suite())
    manifest = segment(archive, 50)

    # Handed over: a copy of the ring under a passphrase that only the custodian knows.
    shutil.copy(store / "ring.json", escrow / "ring.json")
    KeyRing.open(escrow / "ring.json", "the store's passphrase").change_passphrase("the custodian's passphrase")
    keys.close()
    (store / "ring.json").unlink()

    with pytest.raises(KeyRingMissingError):
        KeyRing.open(store / "ring.json", "the store's passphrase")
    recovered = PeriodKeys.open(
        f"sqlite:///{store / 'periods.db'}", KeyRing.open(escrow / "ring.json", "the custodian's passphrase")
    )
    opened = open_segment(Archive(archive.objects, recovered, suite()), manifest)
    opened.verify()
    assert opened.parquet().metadata.num_rows == 50
    recovered.close()


def test_an_escrow_copy_from_before_a_rotation_says_that_it_is_too_old(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    keys = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", ring, create=True)
    key = keys.current("content", "2026-10")
    shutil.copy(tmp_path / "ring.json", tmp_path / "old.json")
    ring.rotate()
    keys.rewrap(ring)
    keys.close()
    stale = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", KeyRing.open(tmp_path / "old.json", "p"))
    with pytest.raises(KeyRefusedError, match=ring.description.key_id):
        stale.get(key.key_id)
    stale.close()


def test_a_backup_from_before_a_destruction_without_the_store_of_keys_reads_nothing(tmp_path: Path) -> None:
    """Objects and catalogue may be copied for ever; keys are not among them."""
    ring = KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    keys = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", ring, create=True)
    archive = Archive(LocalObjects(tmp_path / "objects"), keys, suite())
    manifest = segment(archive, 5)
    shutil.copytree(tmp_path / "objects", tmp_path / "backup")
    keys.destroy(manifest.key_id)
    for folder in ("objects", "backup"):
        with pytest.raises(KeyDestroyedError):
            open_segment(Archive(LocalObjects(tmp_path / folder), keys, suite()), manifest)
    keys.close()
