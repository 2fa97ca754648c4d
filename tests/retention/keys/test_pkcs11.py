"""PKCS#11 against a real SoftHSM token; each test has a process of its own state through ``unload``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pkcs11
import pytest

from errors import UsageError
from retention.errors import KeyProviderError, KeyRefusedError, WrongPassphraseError
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from retention.keys.pkcs11_token import Pkcs11Token
from retention.keys.settings import Pkcs11Settings
from retention.keys.signing import load_signers
from tests.retention.keys import softhsm
from tests.retention.samples import CHEAP

KEY, CONTEXT = bytes(range(32)), b"context"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pkcs11Settings]:
    library = softhsm.library()
    monkeypatch.setenv("SOFTHSM2_CONF", "")
    monkeypatch.setattr("retention.keys.pkcs11_token._logins", {})
    pkcs11.unload(library)
    softhsm.make_token(tmp_path, "archive")
    yield Pkcs11Settings(library=library, token="archive")
    pkcs11.unload(library)


def made(settings: Pkcs11Settings) -> Pkcs11Token:
    return Pkcs11Token.open(settings, softhsm.PIN, create=True)


def test_a_key_comes_back_after_reopening_and_cannot_leave_the_token(settings: Pkcs11Settings) -> None:
    token = made(settings)
    blob = token.wrap(KEY, CONTEXT)
    assert KEY not in blob
    (key,) = token._keys.values()
    with pytest.raises(pkcs11.exceptions.AttributeSensitive):
        key[pkcs11.Attribute.VALUE]
    token.close()
    pkcs11.unload(settings.library)
    again = Pkcs11Token.open(settings, softhsm.PIN)
    assert again.unwrap(blob, CONTEXT) == KEY
    assert "SoftHSM" in again.description.detail
    assert again.description.certification == "uncertified"


def test_every_changed_byte_and_another_context_are_refused(settings: Pkcs11Settings) -> None:
    token = made(settings)
    blob = token.wrap(KEY, CONTEXT)
    for index in range(len(blob)):
        changed = blob[:index] + bytes([blob[index] ^ 1]) + blob[index + 1 :]
        with pytest.raises(KeyRefusedError) as caught:
            token.unwrap(changed, CONTEXT)
        assert caught.value.exit_code == 4
    for cut in range(len(blob)):
        with pytest.raises(KeyRefusedError):
            token.unwrap(blob[:cut], CONTEXT)
    with pytest.raises(KeyRefusedError):
        token.unwrap(blob, b"elsewhere")
    assert token.unwrap(blob, CONTEXT) == KEY


def test_a_wrong_pin_then_a_locked_one(settings: Pkcs11Settings) -> None:
    made(settings).close()
    for pin in ("", "000000", "x" * 300):
        with pytest.raises(WrongPassphraseError) as caught:
            Pkcs11Token.open(settings, pin)
        assert caught.value.exit_code == 4
        assert softhsm.PIN not in str(caught.value)


@pytest.mark.parametrize("error", ["PinLocked", "PinExpired", "UserPinNotInitialized"])
def test_what_only_the_security_officer_mends(settings: Pkcs11Settings, error: str) -> None:
    """SoftHSM never locks a PIN, so the translation alone is tested."""
    from retention.keys.pkcs11_token import _translated

    with pytest.raises(KeyProviderError, match="security officer"), _translated(settings):
        raise getattr(pkcs11.exceptions, error)


def test_no_key_no_token_no_library(settings: Pkcs11Settings, tmp_path: Path) -> None:
    with pytest.raises(KeyProviderError, match="has no key liucun-1"):
        Pkcs11Token.open(settings, softhsm.PIN)
    with pytest.raises(KeyProviderError, match="0 tokens are labelled"):
        Pkcs11Token.open(settings.model_copy(update={"token": "other"}), softhsm.PIN)
    with pytest.raises(KeyProviderError, match="is not there"):
        Pkcs11Token.open(settings.model_copy(update={"library": str(tmp_path / "none.so")}), softhsm.PIN)
    (tmp_path / "text.so").write_text("no library")
    with pytest.raises(KeyProviderError, match="cannot be used"):
        Pkcs11Token.open(settings.model_copy(update={"library": str(tmp_path / "text.so")}), softhsm.PIN)


def test_a_token_that_goes_away_is_a_typed_error(settings: Pkcs11Settings, tmp_path: Path) -> None:
    token = made(settings)
    blob = token.wrap(KEY, CONTEXT)
    shutil.rmtree(tmp_path / "tokens")
    (tmp_path / "tokens").mkdir()
    with pytest.raises(KeyProviderError) as caught:
        token.unwrap(blob, CONTEXT)
    with pytest.raises(KeyProviderError):
        token.rotate()
    assert caught.value.exit_code == 4


def test_a_closed_session_is_a_typed_error(settings: Pkcs11Settings) -> None:
    token = made(settings)
    blob = token.wrap(KEY, CONTEXT)
    token.close()
    token.close()
    for use in (lambda: token.wrap(KEY, CONTEXT), lambda: token.unwrap(blob, CONTEXT), token.rotate):
        with pytest.raises(KeyProviderError):
            use()


def test_a_process_logs_in_once_and_out_with_the_last(settings: Pkcs11Settings) -> None:
    first = made(settings)
    second = Pkcs11Token.open(settings, softhsm.PIN)
    with pytest.raises(WrongPassphraseError):
        Pkcs11Token.open(settings, "000000")
    blob = first.wrap(KEY, CONTEXT)
    first.close()
    assert second.unwrap(blob, CONTEXT) == KEY
    second.close()
    with pytest.raises(WrongPassphraseError):
        Pkcs11Token.open(settings, "000000")
    assert Pkcs11Token.open(settings, softhsm.PIN).unwrap(blob, CONTEXT) == KEY


def test_two_keys_of_one_label_are_refused(settings: Pkcs11Settings) -> None:
    made(settings).close()
    library = pkcs11.lib(settings.library)
    with library.get_token(token_label="archive").open(user_pin=softhsm.PIN, rw=True) as session:
        session.generate_key(pkcs11.KeyType.AES, 256, label="liucun-1", store=True)
    with pytest.raises(KeyProviderError, match="two keys"):
        Pkcs11Token.open(settings, softhsm.PIN)


def test_rotation_and_forgetting(settings: Pkcs11Settings) -> None:
    token = made(settings)
    old = token.wrap(KEY, CONTEXT)
    assert token.rotate() == "liucun-2"
    new = token.wrap(KEY, CONTEXT)
    assert token.unwrap(old, CONTEXT) == token.unwrap(new, CONTEXT) == KEY
    with pytest.raises(UsageError):
        token.forget("liucun-2")
    with pytest.raises(UsageError):
        token.forget("liucun-9")
    token.forget("liucun-1")
    with pytest.raises(KeyRefusedError, match="liucun-1"):
        token.unwrap(old, CONTEXT)
    token.close()
    assert Pkcs11Token.open(settings, softhsm.PIN).key_ids == ("liucun-2",)


def test_threads_share_a_token(settings: Pkcs11Settings) -> None:
    token = made(settings)

    def there_and_back(number: int) -> bool:
        context = str(number).encode()
        return token.unwrap(token.wrap(KEY, context), context) == KEY

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(200)))


def test_a_store_moves_from_the_key_ring_to_the_token_and_on(settings: Pkcs11Settings, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'periods.db'}"
    ring = KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    keys = PeriodKeys.open(url, ring, create=True)
    key, signers = keys.current("content", "2026-10"), load_signers(keys)
    token = made(settings)
    assert keys.rewrap(token) == 3
    token.rotate()
    assert keys.rewrap(token) == 3
    token.forget("liucun-1")
    keys.close()
    reopened = PeriodKeys.open(url, token)
    assert reopened.get(key.key_id).key == key.key
    assert [s.verifier for s in load_signers(reopened)] == [s.verifier for s in signers]
    reopened.close()
