"""SM2 against the standard's examples, tampered ones beside them, both implementations against each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import KeyAccessError, LiucunError, UsageError
from retention.crypto import sm2, sm2_libcrypto
from retention.crypto.sm2_encoding import (
    N,
    P,
    ciphertext_from_der,
    ciphertext_to_der,
    is_point,
    public_from_text,
    public_to_pem,
    signature_from_der,
    signature_to_der,
)
from retention.errors import CryptoUnavailableError

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "official" / "sm2.json").read_text())
PAIR = sm2.Sm2KeyPair(bytes.fromhex(VECTOR["public_key"]), bytes.fromhex(VECTOR["private_key"]))
MESSAGE = VECTOR["signing"]["message"].encode()
SIGNATURE = bytes.fromhex(VECTOR["signing"]["r"] + VECTOR["signing"]["s"])
SEALED = tuple(bytes.fromhex(VECTOR["encryption"][part]) for part in ("c1", "c3", "c2"))
PLAINTEXT = VECTOR["encryption"]["plaintext"].encode()

try:
    OTHER: sm2_libcrypto.Libcrypto | None = sm2_libcrypto.load()
except CryptoUnavailableError:
    OTHER = None


def flipped(data: bytes) -> list[bytes]:
    return [data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :] for at in range(len(data)) for bit in (0, 7)]


def test_the_standard_s_signature_and_every_tampered_one() -> None:
    sm2.verify(PAIR.public, MESSAGE, SIGNATURE)
    for changed in (*flipped(SIGNATURE), SIGNATURE[:-1], SIGNATURE + b"\0", b"", bytes(64), b"\xff" * 64):
        with pytest.raises(sm2.Sm2SignatureError):
            sm2.verify(PAIR.public, MESSAGE, changed)
    for changed in (*flipped(MESSAGE), MESSAGE + b" ", b""):
        with pytest.raises(sm2.Sm2SignatureError):
            sm2.verify(PAIR.public, changed, SIGNATURE)


def test_the_standard_s_ciphertext_and_every_tampered_one() -> None:
    assert sm2.decrypt(PAIR.private, ciphertext_to_der(*SEALED)) == PLAINTEXT
    for part in range(3):
        for changed in flipped(SEALED[part]):
            parts = [*SEALED[:part], changed, *SEALED[part + 1 :]]
            with pytest.raises(sm2.Sm2DecryptionError):
                sm2.decrypt(PAIR.private, ciphertext_to_der(*parts))


def test_another_key_opens_and_verifies_nothing() -> None:
    stranger = sm2.Sm2KeyPair.generate()
    with pytest.raises(sm2.Sm2DecryptionError) as caught:
        sm2.decrypt(stranger.private, sm2.encrypt(PAIR.public, b"key"))
    assert caught.value.exit_code == 4
    with pytest.raises(sm2.Sm2SignatureError):
        sm2.verify(stranger.public, MESSAGE, SIGNATURE)
    with pytest.raises(sm2.Sm2KeyError, match="do not belong"):
        sm2.Sm2KeyPair(PAIR.public, stranger.private).check()


def test_no_opinion_without_the_identity() -> None:
    """Z enters the signature: one over the bare digest does not hold."""
    import gmssl_pyx

    bare = signature_from_der(gmssl_pyx.sm2_sign(PAIR.private, PAIR.public, MESSAGE, None))
    with pytest.raises(sm2.Sm2SignatureError):
        sm2.verify(PAIR.public, MESSAGE, bare)


@settings(max_examples=25)
@given(st.binary(min_size=1, max_size=sm2.PLAINTEXT_LIMIT))
def test_round_trips(data: bytes) -> None:
    assert sm2.decrypt(PAIR.private, sm2.encrypt(PAIR.public, data)) == data
    sm2.verify(PAIR.public, data, sm2.sign(PAIR, data))


@pytest.mark.skipif(OTHER is None, reason="the system's libcrypto does not load")
@settings(max_examples=25)
@given(st.binary(min_size=1, max_size=sm2.PLAINTEXT_LIMIT))
def test_both_implementations_agree(data: bytes) -> None:
    assert OTHER is not None
    OTHER.verify(PAIR.public, data, signature_to_der(sm2.sign(PAIR, data)), sm2.IDENTITY)
    sm2.verify(PAIR.public, data, signature_from_der(OTHER.sign(PAIR.private, data, sm2.IDENTITY)))
    assert OTHER.decrypt(PAIR.private, sm2.encrypt(PAIR.public, data)) == data
    assert sm2.decrypt(PAIR.private, OTHER.encrypt(PAIR.public, data)) == data
    with pytest.raises(ValueError, match="refused"):
        OTHER.verify(PAIR.public, data + b"x", signature_to_der(sm2.sign(PAIR, data)), sm2.IDENTITY)


@pytest.mark.parametrize("length", [0, 256, 1 << 20])
def test_only_what_it_can_hold_is_encrypted(length: int) -> None:
    with pytest.raises(UsageError):
        sm2.encrypt(PAIR.public, bytes(length))


@pytest.mark.parametrize("private", [b"", bytes(32), b"\xff" * 32, (N - 1).to_bytes(32), bytes(33)])
def test_values_that_are_no_private_key(private: bytes) -> None:
    with pytest.raises(sm2.Sm2KeyError):
        sm2.decrypt(private, ciphertext_to_der(*SEALED))
    with pytest.raises(sm2.Sm2KeyError):
        sm2.sign(sm2.Sm2KeyPair(PAIR.public, private), b"x")


@pytest.mark.parametrize(
    "public",
    [b"", bytes(64), b"\x01" * 64, PAIR.public[:-1], (P + 1).to_bytes(32) + PAIR.public[32:], PAIR.public + b"x"],
)
def test_values_that_are_no_public_key(public: bytes) -> None:
    assert not is_point(public)
    for use in (lambda: sm2.encrypt(public, b"x"), lambda: sm2.verify(public, b"x", SIGNATURE)):
        with pytest.raises(KeyAccessError):
            use()


@given(st.binary(max_size=400))
def test_hostile_ciphertexts_are_refused(data: bytes) -> None:
    with pytest.raises(LiucunError):
        sm2.decrypt(PAIR.private, data)


def test_der_has_one_spelling() -> None:
    der = sm2.encrypt(PAIR.public, b"k" * 200)
    assert ciphertext_to_der(*ciphertext_from_der(der)) == der
    signature = signature_to_der(SIGNATURE)
    assert signature_from_der(signature) == SIGNATURE
    long_form = b"\x30\x81" + signature[1:]
    for wrong in (long_form, signature + b"\0", signature[:-1], b"\x31" + signature[1:], b""):
        with pytest.raises(ValueError, match=r"."):
            signature_from_der(wrong)


def test_public_keys_in_text() -> None:
    pem = public_to_pem(PAIR.public)
    for text in (pem, "\n" + pem.replace("\n", "\r\n"), PAIR.public.hex(), "04" + PAIR.public.hex().upper()):
        assert public_from_text(text) == PAIR.public
    p256 = (
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
        "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n"
    )
    for wrong in ("", "zz", PAIR.public.hex()[:-2], "00" * 64, p256, pem.replace("MFkw", "M!kw"), pem[:-30]):
        with pytest.raises(sm2.Sm2KeyError, match=r"key\.pem"):
            sm2.read_public(wrong, where="key.pem")


def test_it_says_who_computes_and_shows_no_secret() -> None:
    assert "gmssl-pyx" in sm2.implementation()
    assert VECTOR["private_key"] not in repr(PAIR)
