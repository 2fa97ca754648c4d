"""Suites of algorithms by name, and which implementation runs them here.

``SM4-GCM-SM3`` (default): AEAD_SM4_GCM of RFC 8998, SM3 of GB/T 32905-2016.
``AES-256-GCM-SHA256``: AEAD_AES_256_GCM of RFC 5116, SHA-256 of FIPS 180-4.

libgcrypt runs SM4 and SM3 where it loads and passes its self-test, ``cryptography``
everywhere else. ``LIUCUN_SM4`` (``auto``, ``libgcrypt``, ``cryptography``) decides otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hmac as hmac_
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from errors import SettingsError
from retention.crypto import libgcrypt, openssl, selftest
from retention.crypto.ciphers import BlockMaker, Buffer, CipherMaker, HasherMaker, HashMany, HashOnce, TagError
from retention.errors import AuthenticationError, CryptoUnavailableError

SM4_VARIABLE: Final = "LIUCUN_SM4"
DEFAULT: Final = "SM4-GCM-SM3"
_SHORT: Final = 4096
"""Up to so many bytes are hashed in one call: setting up a state would cost more than joining them."""
_BLOCK: Final = 64
"""Bytes that SM3 and SHA-256 alike take in at once."""
_IPAD: Final = bytes(value ^ 0x36 for value in range(256))
_OPAD: Final = bytes(value ^ 0x5C for value in range(256))
NAMES: Final = (DEFAULT, "AES-256-GCM-SHA256")


@dataclass(frozen=True)
class Suite:
    """An AEAD and a hash. ``implementation`` says whose code runs; ``certification`` what was approved."""

    name: str
    aead_name: str
    key_bytes: int
    hash_name: str
    implementation: str
    cipher: CipherMaker = field(repr=False, compare=False)
    hasher: HasherMaker = field(repr=False, compare=False)
    once: HashOnce = field(repr=False, compare=False)
    many: HashMany = field(repr=False, compare=False)
    blocks: BlockMaker = field(repr=False, compare=False)
    """The bare block cipher under a key, for keyed hashes of many values at once."""
    _algorithm: Callable[[], hashes.HashAlgorithm] = field(repr=False, compare=False)
    certification: str = "uncertified"

    def __reduce__(self) -> tuple[object, ...]:
        # Another process chooses its own implementation.
        return (suite, (self.name,))

    def seal(self, key: bytes, nonce: bytes, plaintext: Buffer, aad: bytes) -> bytes:
        """Ciphertext and 16-byte tag; ``nonce`` (12 bytes) must never repeat under a key."""
        return self.cipher(key).seal(nonce, plaintext, aad)

    def open(self, key: bytes, nonce: bytes, sealed: Buffer, aad: bytes) -> bytes:
        """The plaintext of ``seal``.

        Raises:
            AuthenticationError: changed, cut, or sealed with another key, nonce or AAD.
        """
        try:
            return self.cipher(key).open(nonce, sealed, aad)
        except TagError:
            raise AuthenticationError(
                "A sealed value does not authenticate.", cure="It was changed, or another key or context sealed it."
            ) from None

    def hash(self, *parts: Buffer) -> bytes:
        """The suite's hash (32 bytes) over the parts one after the other."""
        if sum(map(len, parts)) <= _SHORT:
            return self.once(b"".join(parts))
        state = self.hasher()
        for part in parts:
            state.update(part)
        return state.digest()

    def hash_each(self, messages: Sequence[bytes]) -> list[bytes]:
        """The suite's hash over each of many messages: what one costs beside its bytes is paid once."""
        return self.many(messages)

    def hmac(self, key: bytes, message: Buffer) -> bytes:
        """HMAC (RFC 2104) with the suite's hash, 32 bytes."""
        state = hmac_.HMAC(key, self._algorithm())
        state.update(message)
        return state.finalize()

    def hmac_under(self, key: bytes) -> Callable[[Buffer], bytes]:
        """``hmac`` under one key, for many messages: the key is taken in once."""
        keyed = hmac_.HMAC(key, self._algorithm())

        def one(message: Buffer) -> bytes:
            state = keyed.copy()
            state.update(message)
            return state.finalize()

        return one

    def hmac_each(self, key: bytes, messages: Sequence[bytes]) -> list[bytes]:
        """``hmac`` under one key of each of many short messages: two hashes each, without a call to begin and end it.

        ipad and opad over a block of the hash, as RFC 2104 has them; a key longer than a block is hashed first.
        """
        whole = (key if len(key) <= _BLOCK else self.once(key)).ljust(_BLOCK, b"\x00")
        inner, outer = whole.translate(_IPAD), whole.translate(_OPAD)
        return self.many([outer + digest for digest in self.many([inner + message for message in messages])])

    def hkdf_expand(self, key: bytes, info: bytes, length: int) -> bytes:
        """HKDF-Expand (RFC 5869, 2.3) with the suite's hash; ``key`` must be uniformly random."""
        return HKDFExpand(self._algorithm(), length, info).derive(key)


def suite(name: str = DEFAULT) -> Suite:
    """The suite of this name, with the implementation chosen and tested for this process.

    Raises:
        SettingsError: there is no such suite, or the implementation asked for cannot be used.
    """
    if name == DEFAULT:
        return _sm(os.environ.get(SM4_VARIABLE, "auto"))
    if name == "AES-256-GCM-SHA256":
        return _aes()
    raise SettingsError(f"There is no suite {name!r}.", cure=f"Known suites: {', '.join(NAMES)}.")


@cache
def _sm(choice: str) -> Suite:
    if choice not in {"auto", "libgcrypt", "cryptography"}:
        raise SettingsError(
            f"{SM4_VARIABLE} is {choice!r}.",
            cure="It may be 'auto', 'libgcrypt' or 'cryptography'; unset it for 'auto'.",
        )
    if choice != "cryptography":
        try:
            return _sm_by_libgcrypt()
        except CryptoUnavailableError as error:
            if choice == "libgcrypt":
                raise
            return _sm_by_openssl(f"{openssl.version()} (slow: {error.what})")
    return _sm_by_openssl(openssl.version())


def _sm_by_libgcrypt() -> Suite:
    library = libgcrypt.load()
    selftest.sm4_gcm(library.sm4_gcm, "libgcrypt")
    selftest.agreement(library.sm4_gcm, openssl.Sm4Gcm)
    selftest.sm3(library.sm3_hasher, library.sm3_once, library.sm3_many, "libgcrypt")
    name = f"libgcrypt {library.version}"
    return _sm_suite(name, library.sm4_gcm, library.sm3_hasher, library.sm3_once, library.sm3_many)


def _sm_by_openssl(implementation: str) -> Suite:
    selftest.sm4_gcm(openssl.Sm4Gcm, "cryptography")
    selftest.sm3(openssl.Sm3, openssl.sm3_once, openssl.sm3_many, "cryptography")
    return _sm_suite(implementation, openssl.Sm4Gcm, openssl.Sm3, openssl.sm3_once, openssl.sm3_many)


def _sm_suite(implementation: str, cipher: CipherMaker, hasher: HasherMaker, once: HashOnce, many: HashMany) -> Suite:
    return Suite(
        DEFAULT, "AEAD_SM4_GCM", 16, "SM3", implementation, cipher, hasher, once, many, openssl.sm4_blocks, hashes.SM3
    )


@cache
def _aes() -> Suite:
    selftest.aes_256_gcm(openssl.Aes256Gcm, "cryptography")
    return Suite(
        "AES-256-GCM-SHA256",
        "AEAD_AES_256_GCM",
        32,
        "SHA-256",
        openssl.version(),
        openssl.Aes256Gcm,
        openssl.sha256_hasher,
        openssl.sha256_once,
        openssl.sha256_many,
        openssl.aes_blocks,
        hashes.SHA256,
    )
