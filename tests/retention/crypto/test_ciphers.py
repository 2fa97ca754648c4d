"""Every implementation against the standards' vectors, tampered ones beside them, and against each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from retention.crypto import libgcrypt, openssl, selftest
from retention.crypto.ciphers import CHUNK_BYTES, TAG_BYTES, CipherMaker, HasherMaker, HashOnce, TagError
from retention.crypto.suites import NAMES, suite
from retention.errors import CryptoUnavailableError

try:
    LIBGCRYPT: libgcrypt.Libgcrypt | None = libgcrypt.load()
except CryptoUnavailableError:
    LIBGCRYPT = None
OFFICIAL = Path(__file__).parents[2] / "vectors" / "official"
SM4: dict[str, CipherMaker] = {"cryptography": openssl.Sm4Gcm}
AES: dict[str, CipherMaker] = {"cryptography": openssl.Aes256Gcm}
SM3: dict[str, HasherMaker] = {"cryptography": openssl.Sm3}
SM3_ONCE: dict[str, HashOnce] = {"cryptography": openssl.sm3_once}
if LIBGCRYPT is not None:
    SM4["libgcrypt"], SM3["libgcrypt"] = LIBGCRYPT.sm4_gcm, LIBGCRYPT.sm3_hasher
    SM3_ONCE["libgcrypt"] = LIBGCRYPT.sm3_once


def official(name: str) -> dict[str, Any]:
    return json.loads((OFFICIAL / f"{name}.json").read_text())


def known_answers() -> Iterator[Any]:
    for file, makers in (("sm4_gcm", SM4), ("aes_gcm", AES)):
        for who, maker in makers.items():
            for number, case in enumerate(official(file)["cases"]):
                yield pytest.param(maker, case, id=f"{file}-{who}-{number}")


@pytest.mark.parametrize(("maker", "case"), list(known_answers()))
def test_known_answers_and_every_tampered_bit(maker: CipherMaker, case: dict[str, str]) -> None:
    key, nonce, aad, plaintext, ciphertext, tag = (
        bytes.fromhex(case[part]) for part in ("key", "nonce", "aad", "plaintext", "ciphertext", "tag")
    )
    cipher = maker(key)
    assert cipher.seal(nonce, plaintext, aad) == ciphertext + tag
    assert cipher.open(nonce, ciphertext + tag, aad) == plaintext
    for changed in flipped(ciphertext + tag):
        with pytest.raises(TagError):
            cipher.open(nonce, changed, aad)
    for changed in flipped(nonce):
        with pytest.raises(TagError):
            cipher.open(changed, ciphertext + tag, aad)
    for changed in (*flipped(aad), aad + b"x"):
        with pytest.raises(TagError):
            cipher.open(nonce, ciphertext + tag, changed)
    for changed in flipped(key):
        with pytest.raises(TagError):
            maker(changed).open(nonce, ciphertext + tag, aad)
    for length in range(len(ciphertext + tag)):
        with pytest.raises(TagError):
            cipher.open(nonce, (ciphertext + tag)[:length], aad)


def flipped(data: bytes) -> Iterator[bytes]:
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


@pytest.mark.parametrize("maker", SM3.values(), ids=SM3)
def test_sm3_of_the_standard(maker: HasherMaker) -> None:
    for case in official("sm3")["cases"]:
        state = maker()
        for byte in bytes.fromhex(case["message"]):
            state.update(bytes([byte]))
        assert state.digest().hex() == case["digest"]


@pytest.mark.parametrize("once", SM3_ONCE.values(), ids=SM3_ONCE)
def test_sm3_of_one_message(once: HashOnce) -> None:
    for case in official("sm3")["cases"]:
        assert once(bytes.fromhex(case["message"])).hex() == case["digest"]


@pytest.mark.parametrize("name", NAMES)
def test_a_long_message_hashes_like_its_parts(name: str) -> None:
    chosen, message = suite(name), bytes(range(256)) * 32
    for length in (0, 1, 63, 64, 4095, 4096, 4097, len(message)):
        state = chosen.hasher()
        state.update(message[:length])
        assert chosen.hash(message[:length]) == state.digest()
        assert chosen.hash(memoryview(message)[:length], b"") == chosen.hash(
            message[: length // 2], message[length // 2 : length]
        )


def test_sm4_of_the_standard() -> None:
    vector = official("sm4")
    encryptor = Primitive(algorithms.SM4(bytes.fromhex(vector["key"])), modes.ECB()).encryptor()
    assert encryptor.update(bytes.fromhex(vector["plaintext"])).hex() == vector["ciphertext"]


def test_sm4_of_the_standard_a_million_times() -> None:
    vector = official("sm4")
    encryptor = Primitive(algorithms.SM4(bytes.fromhex(vector["key"])), modes.ECB()).encryptor()
    block = bytes.fromhex(vector["plaintext"])
    for _ in range(1_000_000):
        block = encryptor.update(block)
    assert block.hex() == vector["after_1000000_encryptions"]


@given(
    key=st.binary(min_size=16, max_size=16),
    nonce=st.binary(min_size=12, max_size=12),
    aad=st.binary(),
    data=st.binary(),
)
def test_the_two_implementations_of_sm4_agree(key: bytes, nonce: bytes, aad: bytes, data: bytes) -> None:
    one, other = (SM4.get(who, openssl.Sm4Gcm)(key) for who in ("libgcrypt", "cryptography"))
    sealed = one.seal(nonce, data, aad)
    assert sealed == other.seal(nonce, data, aad)
    assert one.open(nonce, sealed, aad) == other.open(nonce, sealed, aad) == data


@pytest.mark.parametrize("maker", [*SM4.values(), *AES.values()], ids=[*(f"sm4-{who}" for who in SM4), "aes"])
@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 70_001])
def test_runs_of_chunks_are_single_seals_side_by_side(maker: CipherMaker, length: int) -> None:
    cipher = maker(bytes(range(16 if maker is not openssl.Aes256Gcm else 32)))
    plaintext, base, first = bytes(i * 31 % 251 for i in range(length)), bytes(range(200, 212)), (1 << 34) + 5
    count = max(1, -(-length // CHUNK_BYTES))
    sealed = bytearray(length + count * TAG_BYTES)
    cipher.seal_chunks(base, first, plaintext, memoryview(sealed))
    expected = b"".join(
        cipher.seal(
            (int.from_bytes(base) ^ (first + n)).to_bytes(12), plaintext[n * CHUNK_BYTES : (n + 1) * CHUNK_BYTES], b""
        )
        for n in range(count)
    )
    assert sealed == expected
    out = bytearray(length)
    cipher.open_chunks(base, first, bytes(sealed), memoryview(out))
    assert out == plaintext
    sealed[-1] ^= 1
    with pytest.raises(TagError) as caught:
        cipher.open_chunks(base, first, sealed, memoryview(out))
    assert caught.value.index == count - 1
    with pytest.raises(ValueError, match="long"):
        cipher.open_chunks(base, first, sealed, memoryview(bytearray(length + 1)))
    with pytest.raises(ValueError, match="long"):
        cipher.seal_chunks(base, first, plaintext, memoryview(bytearray(length)))


def test_a_cipher_that_errs_is_not_used() -> None:
    class Wrong(openssl.Sm4Gcm):
        def seal(self, nonce, plaintext, aad):
            return super().seal(nonce, plaintext, b"")

    class Trusting(openssl.Sm4Gcm):
        def open(self, nonce, sealed, aad):
            try:
                return super().open(nonce, sealed, aad)
            except TagError:
                return bytes(len(sealed) - TAG_BYTES)

    class Deranged(openssl.Sm4Gcm):
        def seal_chunks(self, base, first, plaintext, out):
            super().seal_chunks(base, first + 1, plaintext, out)

    for maker in (Wrong, Trusting):
        with pytest.raises(CryptoUnavailableError):
            selftest.sm4_gcm(maker, "test")
    with pytest.raises(CryptoUnavailableError):
        selftest.agreement(Deranged, openssl.Sm4Gcm)
    with pytest.raises(CryptoUnavailableError):
        selftest.sm3(openssl.sha256_hasher, openssl.sm3_once, openssl.sm3_many, "test")
    with pytest.raises(CryptoUnavailableError):
        selftest.sm3(openssl.Sm3, openssl.sha256_once, openssl.sm3_many, "test")
    with pytest.raises(CryptoUnavailableError):
        selftest.sm3(openssl.Sm3, openssl.sm3_once, lambda some: [openssl.sm3_once(some[0])] * len(some), "test")
