"""The embedded key ring: what opens it, what does not, and that the words tell which."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from errors import KeyAccessError, StorageError, UsageError
from retention.crypto.suites import NAMES
from retention.errors import KeyRefusedError, KeyRingDamagedError, KeyRingMissingError, WrongPassphraseError
from retention.keys.keyring import Cost, KeyRing
from tests.retention.samples import CHEAP

KEY, CONTEXT = bytes(range(32)), b"context"


@pytest.fixture(params=NAMES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    KeyRing.create(tmp_path / "ring.json", "right", suite_name=request.param, cost=CHEAP)
    return tmp_path / "ring.json"


def test_a_wrapped_key_comes_back_after_reopening(path: Path) -> None:
    blob = KeyRing.open(path, "right").wrap(KEY, CONTEXT)
    assert KEY not in blob
    assert KeyRing.open(path, "right").unwrap(blob, CONTEXT) == KEY


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["ring.json"]


def test_the_default_cost_is_that_of_rfc_9106() -> None:
    assert Cost() == Cost(memory_kib=65536, iterations=3, lanes=1)


def test_a_wrong_passphrase_is_told_from_damage(path: Path) -> None:
    with pytest.raises(WrongPassphraseError):
        KeyRing.open(path, "wrong")
    with pytest.raises(WrongPassphraseError):
        KeyRing.open(path, "")
    path.write_bytes(path.read_bytes().replace(b'"sealed": "', b'"sealed": "A', 1))
    with pytest.raises(KeyRingDamagedError):
        KeyRing.open(path, "right")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(KeyRingMissingError):
        KeyRing.open(tmp_path / "none.json", "right")
    with pytest.raises(KeyRingDamagedError, match="folder"):
        KeyRing.open(tmp_path, "right")
    with pytest.raises(StorageError):
        KeyRing.create(tmp_path / "no" / "folder.json", "right", cost=CHEAP)


def test_nothing_is_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(UsageError):
        KeyRing.create(path, "other", cost=CHEAP)
    assert path.read_bytes() == before


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        KeyRing.create(tmp_path / "ring.json", "", cost=CHEAP)
    assert not (tmp_path / "ring.json").exists()


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "null", "{}", '{"checksum":1}', "[" * 100_000, "9" * 5000, "\x00\xff"]
)
def test_what_is_no_key_ring_is_damaged(tmp_path: Path, damage: str) -> None:
    (tmp_path / "ring.json").write_text(damage, encoding="latin-1")
    with pytest.raises(KeyRingDamagedError):
        KeyRing.open(tmp_path / "ring.json", "right")


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "ring.json").open("wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(KeyRingDamagedError, match="over"):
        KeyRing.open(tmp_path / "ring.json", "right")


@pytest.mark.parametrize(
    "change",
    [
        {"memory_kib": 1 << 31},
        {"memory_kib": -1},
        {"memory_kib": 64.0},
        {"memory_kib": True},
        {"memory_kib": "64"},
        {"iterations": 1 << 20},
        {"iterations": 0},
        {"lanes": 255},
        {"lanes": 8, "memory_kib": 16},
        {"salt": "AAAA"},
        {"salt": None},
        {"name": "md5"},
    ],
)
def test_a_hostile_file_cannot_ask_for_resources(path: Path, change: dict[str, object]) -> None:
    body = json.loads(path.read_bytes())
    body["kdf"] |= change
    path.write_text(resummed(body))
    with pytest.raises(KeyRingDamagedError):
        KeyRing.open(path, "right")


@pytest.mark.parametrize(
    "change", [{"suite": "ROT13"}, {"version": 2}, {"format": "x"}, {"more": 1}, {"sealed": "AAAA"}]
)
def test_other_members_are_bound_too(path: Path, change: dict[str, object]) -> None:
    path.write_text(resummed(json.loads(path.read_bytes()) | change))
    with pytest.raises(KeyAccessError):
        KeyRing.open(path, "right")


def test_every_flipped_byte_is_refused(path: Path) -> None:
    original = path.read_bytes()
    for at in range(len(original)):
        path.write_bytes(original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :])
        if path.read_bytes().split() == original.split():
            continue  # white space between members means nothing
        with pytest.raises(KeyAccessError):
            KeyRing.open(path, "right")


def test_rotation_keeps_the_old_key_until_it_is_forgotten(path: Path) -> None:
    ring = KeyRing.open(path, "right")
    (first,) = ring.key_ids
    blob = ring.wrap(KEY, CONTEXT)
    second = ring.rotate()
    ring = KeyRing.open(path, "right")
    assert (ring.key_ids, ring.description.key_id) == ((first, second), second)
    assert ring.unwrap(blob, CONTEXT) == KEY
    with pytest.raises(UsageError):
        ring.forget(second)
    ring.forget(first)
    with pytest.raises(KeyRefusedError, match=first):
        KeyRing.open(path, "right").unwrap(blob, CONTEXT)


def test_a_process_that_goes_on_follows_a_rotation_by_another(path: Path) -> None:
    other = KeyRing.open(path, "right")
    going_on = KeyRing.open(path, "right")
    old = going_on.wrap(KEY, CONTEXT)
    before, after = other.description.key_id, other.rotate()
    assert going_on.unwrap(other.wrap(KEY, CONTEXT), CONTEXT) == KEY
    assert going_on.description.key_id == after
    other.rotate()
    other.forget(before)
    fresh = going_on.wrap(KEY, CONTEXT)
    assert KeyRing.open(path, "right").unwrap(fresh, CONTEXT) == KEY, "it wraps by no key that is forgotten"
    with pytest.raises(KeyRefusedError):
        going_on.unwrap(old, CONTEXT)


def test_a_ring_that_was_changed_below_a_process_wraps_nothing(path: Path) -> None:
    other = KeyRing.open(path, "right")
    going_on = KeyRing.open(path, "right")
    other.change_passphrase("another passphrase")
    with pytest.raises(WrongPassphraseError, match="another passphrase"):
        going_on.wrap(KEY, CONTEXT)
    path.write_bytes(b"{}")
    with pytest.raises(KeyRingDamagedError):
        going_on.wrap(KEY, CONTEXT)
    path.unlink()
    with pytest.raises(KeyRingMissingError):
        going_on.wrap(KEY, CONTEXT)


def test_a_changed_passphrase_keeps_the_keys(path: Path) -> None:
    ring = KeyRing.open(path, "right")
    blob = ring.wrap(KEY, CONTEXT)
    ring.change_passphrase("better")
    with pytest.raises(WrongPassphraseError):
        KeyRing.open(path, "right")
    assert KeyRing.open(path, "better").unwrap(blob, CONTEXT) == KEY


def test_every_flipped_bit_of_a_wrapped_key_is_refused(path: Path) -> None:
    ring = KeyRing.open(path, "right")
    blob = ring.wrap(KEY, CONTEXT)
    for at in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(KeyRefusedError):
            ring.unwrap(bytes(changed), CONTEXT)
    for length in range(len(blob)):
        with pytest.raises(KeyRefusedError):
            ring.unwrap(blob[:length], CONTEXT)
    with pytest.raises(KeyRefusedError):
        ring.unwrap(blob, b"elsewhere")
    with pytest.raises(KeyRefusedError):
        ring.unwrap(blob + bytes(10_000), CONTEXT)


def test_it_says_uncertified_and_no_secret(path: Path) -> None:
    ring = KeyRing.open(path, "right")
    assert ring.description.certification == "uncertified"
    shown = repr(ring) + repr(ring.description) + repr(vars(ring)["_keys"])
    for key in vars(ring)["_keys"].values():
        assert repr(key.key) not in shown
        assert key.key.hex() not in shown


def resummed(body: dict[str, object]) -> str:
    """The file with a checksum that fits: what somebody can write who wants to."""
    from retention.keys.keyring import _checksum

    body = {name: value for name, value in body.items() if name != "checksum"}
    return json.dumps(body | {"checksum": _checksum(body)})
