"""Key loss, rehearsed: the store's own key ring is gone; the second custodian's copy opens the archive."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from errors import KeyAccessError, UsageError
from retention.crypto.sm2 import Sm2KeyPair
from retention.crypto.suites import NAMES, suite
from retention.errors import (
    KeyDestroyedError,
    KeyRefusedError,
    KeyRingDamagedError,
    KeyRingMissingError,
    WrongPassphraseError,
)
from retention.keys import escrow
from retention.keys.index import IndexKeys
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from retention.keys.settings import KeySettings, Sm2Settings
from retention.keys.sm2_envelope import Sm2Envelope, key_id_of
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


SETTINGS = KeySettings()
CUSTODIAN = Sm2KeyPair.generate()
THEIRS = {key_id_of(CUSTODIAN.public): CUSTODIAN}


def never() -> str:
    raise AssertionError("a passphrase was asked for where none is needed")


@pytest.mark.parametrize("to", ["sm2", "passphrase"])
@pytest.mark.parametrize("name", NAMES)
def test_a_lost_key_ring_comes_back_from_its_escrow_copy(tmp_path: Path, name: str, to: str) -> None:
    path, copy = tmp_path / SETTINGS.keyring, tmp_path / "copy.json"
    path.parent.mkdir()
    ring = KeyRing.create(path, "the store's", suite_name=name, cost=CHEAP)
    url = f"sqlite:///{tmp_path / 'periods.db'}"
    keys = PeriodKeys.open(url, ring, create=True)
    old = keys.current("content", "2026-10")
    ring.rotate()
    new = keys.current("content", "2026-11")
    keys.close()
    if to == "sm2":
        made = escrow.export(copy, ring, recipient=CUSTODIAN.public)
    else:
        made = escrow.export(copy, ring, passphrase="the custodian's", cost=CHEAP)
    assert made.key_ids == ring.key_ids
    assert copy.stat().st_mode & 0o777 == 0o600
    assert all(ring._own(key_id).hex() not in copy.read_text() for key_id in ring.key_ids)

    path.unlink()
    with pytest.raises(KeyRingMissingError):
        KeyRing.open(path, "the store's")
    asked = (lambda: "the custodian's") if to == "passphrase" else never
    back = escrow.restore(
        tmp_path, SETTINGS, copy, new_passphrase="a new one", passphrase=asked, private_keys=THEIRS, cost=CHEAP
    )
    assert back == made
    reopened = PeriodKeys.open(url, KeyRing.open(path, "a new one"))
    assert [reopened.get(k.key_id).key for k in (old, new)] == [old.key, new.key]
    reopened.close()
    with pytest.raises(UsageError, match="exists already"):
        escrow.restore(tmp_path, SETTINGS, copy, new_passphrase="p", passphrase=asked, private_keys=THEIRS, cost=CHEAP)


def test_lost_private_keys_come_back(tmp_path: Path) -> None:
    provider = Sm2Envelope.create(tmp_path, Sm2Settings(), "p", cost=CHEAP)
    blob = provider.wrap(bytes(32), b"context")
    provider.rotate()
    settings = KeySettings(provider="sm2")
    index = tmp_path / settings.index
    shared = IndexKeys.create(index).key("system:bodies")
    escrow.export(tmp_path / "copy.json", provider, recipient=CUSTODIAN.public, index=index)
    (tmp_path / Sm2Settings().private_key).unlink()
    index.unlink()
    escrow.restore(
        tmp_path,
        settings,
        tmp_path / "copy.json",
        new_passphrase="q",
        passphrase=never,
        private_keys=THEIRS,
        cost=CHEAP,
    )
    back = Sm2Envelope.open(tmp_path, Sm2Settings(), lambda: "q")
    assert back.unwrap(blob, b"context") == bytes(32)
    assert back.description.key_id == provider.description.key_id
    restored = IndexKeys.read(index)
    assert restored is not None
    assert restored.key("system:bodies") == shared


def test_a_copy_opens_for_its_custodian_alone(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    escrow.export(tmp_path / "sm2.json", ring, recipient=CUSTODIAN.public)
    escrow.export(tmp_path / "words.json", ring, passphrase="right", cost=CHEAP)
    stranger = Sm2KeyPair.generate()

    def back(name: str, words: str = "wrong", pairs: dict[str, Sm2KeyPair] | None = None) -> None:
        escrow.restore(
            tmp_path,
            SETTINGS,
            tmp_path / name,
            new_passphrase="n",
            passphrase=lambda: words,
            private_keys=pairs,
            cost=CHEAP,
        )

    with pytest.raises(KeyRefusedError, match="whose private half was not given"):
        back("sm2.json", pairs={key_id_of(stranger.public): stranger})
    with pytest.raises(KeyAccessError):
        back("sm2.json", pairs={key_id_of(CUSTODIAN.public): stranger})
    with pytest.raises(WrongPassphraseError):
        back("words.json")
    assert not (tmp_path / SETTINGS.keyring).exists()


@pytest.mark.parametrize("name", ["sm2.json", "words.json"])
def test_every_changed_byte_of_a_copy_is_refused(tmp_path: Path, name: str) -> None:
    ring = KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    path = tmp_path / name
    if name == "sm2.json":
        escrow.export(path, ring, recipient=CUSTODIAN.public)
    else:
        escrow.export(path, ring, passphrase="right", cost=CHEAP)
    whole = path.read_bytes()

    def back() -> None:
        escrow.restore(
            tmp_path, SETTINGS, path, new_passphrase="n", passphrase=lambda: "right", private_keys=THEIRS, cost=CHEAP
        )

    for at in range(len(whole)):
        if whole[at : at + 1].isspace():
            continue
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(KeyAccessError) as caught:
            back()
        assert caught.value.exit_code == 4
    for hostile in (b"", b"[]", b"{", b"\xff", b'{"a":' * 10_000):
        path.write_bytes(hostile)
        with pytest.raises(KeyRingDamagedError):
            escrow.describe(path)


def test_a_copy_has_one_recipient_and_a_new_file(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    with pytest.raises(UsageError, match="one recipient"):
        escrow.export(tmp_path / "copy.json", ring)
    with pytest.raises(UsageError, match="one recipient"):
        escrow.export(tmp_path / "copy.json", ring, recipient=CUSTODIAN.public, passphrase="p")
    with pytest.raises(UsageError, match="exists already"):
        escrow.export(tmp_path / "ring.json", ring, recipient=CUSTODIAN.public)
    with pytest.raises(UsageError, match="no escrow copy"):
        escrow.describe(tmp_path / "none.json")
