"""SM2 (GB/T 32918): signatures and public-key encryption, by gmssl-pyx.

Before its first use in a process the implementation passes the standard's vectors, refuses
tampered ones, and agrees with the system's libcrypto where that loads (``sm2_libcrypto``).
Keys are raw: a public key is x || y (64 bytes), a private key 32 bytes, a signature r || s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import gmssl_pyx

from errors import IntegrityError, KeyAccessError, UsageError
from retention.crypto import sm2_libcrypto
from retention.crypto.sm2_encoding import (
    COORDINATE,
    N,
    ciphertext_from_der,
    ciphertext_to_der,
    identity_prefix,
    is_point,
    public_from_text,
    signature_from_der,
    signature_to_der,
)
from retention.errors import CryptoUnavailableError

IDENTITY: Final = b"1234567812345678"
"""The signer's identity when no other is agreed (GM/T 0009-2012, 10)."""
PLAINTEXT_LIMIT: Final = 255
SIGNATURE_BYTES: Final = 2 * COORDINATE


class Sm2SignatureError(IntegrityError):
    """An SM2 signature does not hold."""


class Sm2DecryptionError(KeyAccessError):
    """An SM2 ciphertext was changed, or is for another key."""


class Sm2KeyError(KeyAccessError):
    """A value is no SM2 key, or two halves do not belong together."""


@dataclass(frozen=True, slots=True, repr=False)
class Sm2KeyPair:
    """Both halves of a key."""

    public: bytes
    private: bytes

    def __repr__(self) -> str:
        return f"<Sm2KeyPair {self.public[:8].hex()}>"

    @classmethod
    def generate(cls) -> Sm2KeyPair:
        """A fresh pair, drawn by gmssl-pyx from the operating system's random numbers."""
        implementation()
        return cls(*gmssl_pyx.sm2_key_generate())

    def check(self) -> None:
        """Raise ``Sm2KeyError`` unless the halves belong together."""
        try:
            verify(self.public, b"pair", sign(self, b"pair"))
        except Sm2SignatureError as error:
            raise Sm2KeyError(
                "The two halves of an SM2 key do not belong together.", cure="Put the key back from its escrow copy."
            ) from error


def sign(pair: Sm2KeyPair, message: bytes) -> bytes:
    """Sign with the default identity; returns r || s.

    Raises:
        Sm2KeyError: the key is none.
    """
    implementation()
    _check_private(pair.private)
    _check_public(pair.public)
    return _sign(pair, message)


def message_digest(public: bytes, message: bytes) -> bytes:
    """The 32 bytes that a device signs: SM3 over Z (with the default identity) and the message."""
    _check_public(public)
    z = bytes(gmssl_pyx.sm3_hash(identity_prefix(public, IDENTITY)))
    return bytes(gmssl_pyx.sm3_hash(z + message))


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Return if the signature r || s holds over the message with the default identity.

    Raises:
        Sm2SignatureError: it does not.
        Sm2KeyError: the key is none.
    """
    implementation()
    _check_public(public)
    try:
        _verify(public, message, signature_to_der(signature))
    except (ValueError, gmssl_pyx.GmsslInnerError):
        raise Sm2SignatureError(
            "An SM2 signature does not hold.", cure="The text or its signature was changed, or another key signed it."
        ) from None


def encrypt(public: bytes, plaintext: bytes) -> bytes:
    """Encrypt 1 to 255 bytes; returns DER (C1 C3 C2). For longer values encrypt a key.

    Raises:
        UsageError: the plaintext is empty or longer than 255 bytes.
        Sm2KeyError: the key is none.
    """
    implementation()
    if not 1 <= len(plaintext) <= PLAINTEXT_LIMIT:
        raise UsageError(
            f"SM2 encrypts 1 to {PLAINTEXT_LIMIT} bytes here, not {len(plaintext)}.",
            cure="Encrypt a fresh key by SM2 and the value under that key.",
        )
    _check_public(public)
    return bytes(gmssl_pyx.sm2_encrypt(public, plaintext))


def decrypt(private: bytes, ciphertext: bytes) -> bytes:
    """The plaintext of ``encrypt``.

    Raises:
        Sm2DecryptionError: changed, cut, or for another key.
        Sm2KeyError: the key is none.
    """
    implementation()
    _check_private(private)
    try:
        return _decrypt(private, ciphertext)
    except (ValueError, OverflowError, gmssl_pyx.GmsslInnerError):
        raise Sm2DecryptionError(
            "An SM2 ciphertext does not open: it was changed, or is for another key.",
            cure="Use the private key that belongs to the public key that sealed it.",
        ) from None


def read_public(text: str, *, where: str) -> bytes:
    """The public key (64 bytes) of a text in PEM or hex; ``where`` names its place in errors.

    Raises:
        Sm2KeyError: it is none.
    """
    try:
        return public_from_text(text)
    except ValueError as error:
        raise Sm2KeyError(
            f"{where} holds no SM2 public key: {error}.", cure="Give it as PEM (PUBLIC KEY) or as 128 hex digits."
        ) from error


@cache
def implementation() -> str:
    """Who computes SM2 here, after its self-test.

    Raises:
        CryptoUnavailableError: a known answer was not met, or the two implementations disagree.
    """
    _known_answers()
    other = _other()
    if other is None:
        return f"gmssl-pyx {gmssl_pyx.__version__} (not cross-checked: {sm2_libcrypto.LIBRARY} does not load)"
    _agreement(other)
    return f"gmssl-pyx {gmssl_pyx.__version__}, cross-checked with {other.version}"


@cache
def _other() -> sm2_libcrypto.Libcrypto | None:
    try:
        return sm2_libcrypto.load()
    except CryptoUnavailableError:
        return None


def _sign(pair: Sm2KeyPair, message: bytes) -> bytes:
    return signature_from_der(gmssl_pyx.sm2_sign(pair.private, pair.public, message, IDENTITY))


def _verify(public: bytes, message: bytes, der: bytes) -> None:
    # Both must accept; libcrypto goes first because GmSSL writes its refusals to standard error.
    if other := _other():
        other.verify(public, message, der, IDENTITY)
    if not gmssl_pyx.sm2_verify(public, message, der, IDENTITY):
        raise ValueError("refused")


def _decrypt(private: bytes, ciphertext: bytes) -> bytes:
    ciphertext_from_der(ciphertext)
    other = _other()
    first = other.decrypt(private, ciphertext) if other else None
    plaintext = bytes(gmssl_pyx.sm2_decrypt(private, ciphertext))
    if first is not None and first != plaintext:
        raise ValueError("two implementations disagree")
    return plaintext


_PUBLIC: Final = bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_PRIVATE: Final = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
_SIGNATURE: Final = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
_CIPHERTEXT: Final = (
    bytes.fromhex(
        "04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73"
        "e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"
    ),
    bytes.fromhex("59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766"),
    bytes.fromhex("21886ca989ca9c7d58087307ca93092d651efa"),
)


def _known_answers() -> None:
    """The examples of GB/T 32918.5, appendices A and C."""
    try:
        _verify(_PUBLIC, b"message digest", signature_to_der(_SIGNATURE))
        opened = _decrypt(_PRIVATE, ciphertext_to_der(*_CIPHERTEXT))
    except (ValueError, gmssl_pyx.GmsslInnerError) as error:
        raise _unusable("does not meet the standard's examples") from error
    if opened != b"encryption standard":
        raise _unusable("decrypts wrongly")


def _agreement(other: sm2_libcrypto.Libcrypto) -> None:
    pair, text = Sm2KeyPair(_PUBLIC, _PRIVATE), b"agreement"
    try:
        _verify(pair.public, text, signature_to_der(_sign(pair, text)))
        _verify(pair.public, text, other.sign(pair.private, text, IDENTITY))
        opened = {
            _decrypt(pair.private, bytes(gmssl_pyx.sm2_encrypt(pair.public, text))),
            _decrypt(pair.private, other.encrypt(pair.public, text)),
        }
    except (ValueError, gmssl_pyx.GmsslInnerError) as error:
        raise _unusable(f"disagrees with {other.version}") from error
    if opened != {text}:
        raise _unusable(f"disagrees with {other.version}")


def _check_public(public: bytes) -> None:
    if not is_point(public):
        raise _no_key()


def _check_private(private: bytes) -> None:
    if len(private) != COORDINATE or not 1 <= int.from_bytes(private) <= N - 2:
        raise _no_key()


def _no_key() -> Sm2KeyError:
    return Sm2KeyError("A value is no SM2 key.", cure="Put the key back from its escrow copy.")


def _unusable(what: str) -> CryptoUnavailableError:
    return CryptoUnavailableError(
        f"gmssl-pyx {gmssl_pyx.__version__} {what}.", cure="Install the version of the lock file again."
    )
