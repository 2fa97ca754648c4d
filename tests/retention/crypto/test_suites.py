"""Suites by name, the choice of implementation, and small sealed values."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from errors import KeyAccessError, SettingsError
from retention.crypto import envelope, libgcrypt, suites
from retention.crypto.bodies import BodyCipher
from retention.crypto.suites import NAMES, suite
from retention.errors import AuthenticationError, CryptoUnavailableError
from tests.retention.samples import period_keys


@pytest.fixture
def fresh_choice(monkeypatch: pytest.MonkeyPatch):
    suites._sm.cache_clear()
    monkeypatch.delenv("LIUCUN_SM4", raising=False)
    yield monkeypatch
    suites._sm.cache_clear()


def test_libgcrypt_is_taken_where_it_loads(fresh_choice: pytest.MonkeyPatch) -> None:
    try:
        libgcrypt.load()
    except CryptoUnavailableError as error:
        pytest.skip(error.what)
    assert suite("SM4-GCM-SM3").implementation.startswith("libgcrypt")


def test_the_setting_forces_the_other(fresh_choice: pytest.MonkeyPatch) -> None:
    fresh_choice.setenv("LIUCUN_SM4", "cryptography")
    assert suite().implementation.startswith("cryptography")
    fresh_choice.setenv("LIUCUN_SM4", "hardware")
    with pytest.raises(SettingsError, match="hardware"):
        suite()


def test_without_libgcrypt_the_other_is_taken_and_says_why(fresh_choice: pytest.MonkeyPatch) -> None:
    libgcrypt.load.cache_clear()
    fresh_choice.setattr(libgcrypt, "LIBRARY", "libnosuch.so.20")
    try:
        assert "libnosuch" in suite().implementation
        fresh_choice.setenv("LIUCUN_SM4", "libgcrypt")
        with pytest.raises(CryptoUnavailableError, match="libnosuch"):
            suite()
    finally:
        libgcrypt.load.cache_clear()


def test_unknown_suites_are_refused() -> None:
    with pytest.raises(SettingsError, match="ROT13"):
        suite("ROT13")


@pytest.mark.parametrize("name", NAMES)
def test_a_suite_crosses_processes_by_name(name: str) -> None:
    assert pickle.loads(pickle.dumps(suite(name))) == suite(name)
    assert suite(name).certification == "uncertified"


def test_hkdf_and_hmac_are_those_of_the_rfcs() -> None:
    """RFC 5869 test case 1 (expand) and RFC 4231 test case 2."""
    aes = suite("AES-256-GCM-SHA256")
    prk = bytes.fromhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
    assert aes.hkdf_expand(prk, bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    assert aes.hmac(b"Jefe", b"what do ya want for nothing?").hex() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


@pytest.mark.parametrize("name", NAMES)
def test_keyed_hashes_and_derivations_are_those_of_another_implementation(name: str) -> None:
    chosen, other = suite(name), hashes.SM3() if "SM3" in name else hashes.SHA256()
    messages = [
        bytes([n % 251]) * length for n, length in enumerate((0, 1, 31, 55, 56, 63, 64, 65, 4096, 4097, 70_000))
    ]
    for key in (b"", b"k", bytes(range(32)), bytes(64), bytes(range(65)), bytes(200)):
        expected = []
        for message in messages:
            state = HMAC(key, other)
            state.update(message)
            expected.append(state.finalize())
        assert chosen.hmac_each(key, messages) == expected
        assert [chosen.hmac(key, message) for message in messages] == expected
        assert [chosen.hmac_under(key)(memoryview(message)) for message in messages] == expected
    assert chosen.hash_each(messages) == [chosen.hash(message) for message in messages]
    assert chosen.hash_each([]) == []
    for length in (1, 28, 32, 33, 64, 100, 8160):
        info = b"info" * (length % 40)
        assert chosen.hkdf_expand(bytes(range(32)), info, length) == HKDFExpand(other, length, info).derive(
            bytes(range(32))
        )


@pytest.mark.parametrize("name", NAMES)
def test_envelopes_are_bound_to_key_purpose_and_context(name: str) -> None:
    chosen, key = suite(name), bytes(range(32))
    sealed = envelope.seal(chosen, key, b"value", purpose="a", context=b"c")
    assert envelope.open_(chosen, key, sealed, purpose="a", context=b"c") == b"value"
    assert sealed != envelope.seal(chosen, key, b"value", purpose="a", context=b"c")
    for other_key, purpose, context in ((bytes(32), "a", b"c"), (key, "b", b"c"), (key, "a", b"d")):
        with pytest.raises(AuthenticationError):
            envelope.open_(chosen, other_key, sealed, purpose=purpose, context=context)
    other = suite(next(n for n in NAMES if n != name))
    with pytest.raises(AuthenticationError):
        envelope.open_(other, key, sealed, purpose="a", context=b"c")


@pytest.fixture(scope="module", params=NAMES)
def bodies(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    keys = period_keys(tmp_path_factory.mktemp("keys"))
    yield BodyCipher.from_period_keys(keys, suite(request.param), "tickets")
    keys.close()


@given(plaintext=st.binary(max_size=200), context=st.binary(max_size=50))
def test_bodies_come_back(bodies: BodyCipher, plaintext: bytes, context: bytes) -> None:
    assert bodies.open(bodies.seal(plaintext, context), context) == plaintext


def test_bodies_refuse_every_flipped_bit_and_cut(bodies: BodyCipher) -> None:
    sealed = bodies.seal(b"text", b"ticket/1")
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((AuthenticationError, KeyAccessError)):
            bodies.open(bytes(changed), b"ticket/1")
    for length in range(len(sealed)):
        with pytest.raises((AuthenticationError, KeyAccessError)):
            bodies.open(sealed[:length], b"ticket/1")
    with pytest.raises(AuthenticationError):
        bodies.open(sealed, b"ticket/2")


@given(blob=st.binary(max_size=300))
def test_bodies_refuse_noise(bodies: BodyCipher, blob: bytes) -> None:
    with pytest.raises((AuthenticationError, KeyAccessError)):
        bodies.open(blob, b"")


def test_bodies_of_one_suite_are_opened_under_a_setting_of_the_other(tmp_path: Path) -> None:
    keys = period_keys(tmp_path)
    one, other = (BodyCipher.from_period_keys(keys, suite(name), "tickets") for name in NAMES)
    assert other.open(one.seal(b"x", b""), b"") == b"x"
    elsewhere = BodyCipher.from_period_keys(keys, suite(NAMES[0]), "events")
    with pytest.raises(AuthenticationError):
        elsewhere.open(one.seal(b"x", b""), b"")
    keys.close()


def test_blind_indexes_find_equals_and_hide_the_rest(bodies: BodyCipher) -> None:
    blind = bodies.blind("u1", "account")
    assert blind == bodies.blind("u1", "account")
    assert len({blind, bodies.blind("u2", "account"), bodies.blind("u1", "device")}) == 3
    assert len(blind) == 64
