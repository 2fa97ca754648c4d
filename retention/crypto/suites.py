"""Suites: an AEAD and a hash under one name, and the implementation that serves it on this machine.

``SM4-GCM-SM3`` (GB/T 32907, RFC 8998, GB/T 32905) is the default; ``AES-256-GCM-SHA256``
the other. SM4 runs on libgcrypt where it loads and passes its self-test, else on
``cryptography``. Both are software and uncertified.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from errors import IntegrityError, SettingsError
from retention.crypto import gcrypt

Buffer = bytes | bytearray | memoryview
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
HASH_BYTES: Final = 32
SUITE_NAMES: Final = ("SM4-GCM-SM3", "AES-256-GCM-SHA256")


class KeyedCipher(Protocol):
    """An AEAD under one key. Plaintext is released only after its tag was checked."""

    def seal_into(self, nonce: bytes, plaintext: memoryview, out: memoryview, aad: bytes = b"") -> None:
        """Write ciphertext and tag to ``out``."""
        ...

    def open_into(self, nonce: bytes, sealed: memoryview, out: memoryview, aad: bytes = b"") -> None:
        """Write the plaintext to ``out``; raises ``IntegrityError``."""
        ...


@dataclass(frozen=True, slots=True)
class Suite:
    """``aead`` is the IANA name; sizes in bytes; ``implementation`` for people, ``certification`` likewise."""

    name: str
    aead: str
    key_bytes: int
    hash_name: str
    implementation: str
    certification: str = "uncertified"

    def cipher(self, key: bytes) -> KeyedCipher:
        """The AEAD under a key of ``key_bytes``."""
        if len(key) != self.key_bytes:
            raise IntegrityError(
                f"A key of {len(key)} bytes was given to {self.name}.", cure="The key store is damaged: restore it."
            )
        if self.aead == "AEAD_AES_256_GCM":
            return _Aes(key)
        return gcrypt.load().cipher(key) if self.implementation.startswith("libgcrypt") else _Sm4(key)

    def seal(self, key: bytes, nonce: bytes, plaintext: Buffer, aad: bytes = b"") -> bytes:
        """Ciphertext and tag of one message. A nonce must never repeat under a key."""
        out = bytearray(len(plaintext) + TAG_BYTES)
        self.cipher(key).seal_into(nonce, memoryview(plaintext), memoryview(out), aad)
        return bytes(out)

    def open(self, key: bytes, nonce: bytes, sealed: Buffer, aad: bytes = b"") -> bytes:
        """Plaintext of one message.

        Raises:
            IntegrityError: it was not sealed under this key, nonce and ``aad``.
        """
        if len(sealed) < TAG_BYTES:
            raise _forged()
        out = bytearray(len(sealed) - TAG_BYTES)
        self.cipher(key).open_into(nonce, memoryview(sealed), memoryview(out), aad)
        return bytes(out)

    def hash(self, data: Buffer) -> bytes:
        """SM3 or SHA-256 of a buffer."""
        if self.hash_name == "SHA-256":
            return hashlib.sha256(data).digest()
        if self.implementation.startswith("libgcrypt"):
            return gcrypt.load().sm3(data)
        digest = hashes.Hash(hashes.SM3())  # type: ignore[no-untyped-call, unused-ignore]
        digest.update(data)
        return digest.finalize()

    def hmac(self, key: bytes, data: bytes) -> bytes:
        """HMAC (RFC 2104) with the suite's hash."""
        mac = hmac.HMAC(key, self._algorithm())
        mac.update(data)
        return mac.finalize()

    def hkdf_expand(self, key: bytes, info: bytes, length: int) -> bytes:
        """HKDF-Expand (RFC 5869 section 2.3) with the suite's hash."""
        return HKDFExpand(self._algorithm(), length, info).derive(key)

    def _algorithm(self) -> hashes.HashAlgorithm:
        return hashes.SHA256() if self.hash_name == "SHA-256" else hashes.SM3()


class _Aes:
    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal_into(self, nonce: bytes, plaintext: memoryview, out: memoryview, aad: bytes = b"") -> None:
        out[:] = self._aead.encrypt(nonce, plaintext, aad or None)

    def open_into(self, nonce: bytes, sealed: memoryview, out: memoryview, aad: bytes = b"") -> None:
        try:
            out[:] = self._aead.decrypt(nonce, sealed, aad or None)
        except InvalidTag as error:
            raise _forged() from error


class _Sm4:
    """SM4-GCM by ``cryptography``; ``update`` hands out plaintext early, so it is kept until the tag has held."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.SM4(key)

    def seal_into(self, nonce: bytes, plaintext: memoryview, out: memoryview, aad: bytes = b"") -> None:
        encryptor = Cipher(self._algorithm, modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(aad)
        size = len(plaintext)
        out[:size] = encryptor.update(plaintext) + encryptor.finalize()
        out[size:] = encryptor.tag

    def open_into(self, nonce: bytes, sealed: memoryview, out: memoryview, aad: bytes = b"") -> None:
        size = len(sealed) - TAG_BYTES
        decryptor = Cipher(self._algorithm, modes.GCM(nonce, bytes(sealed[size:]))).decryptor()
        decryptor.authenticate_additional_data(aad)
        plaintext = decryptor.update(sealed[:size])
        try:
            plaintext += decryptor.finalize()
        except InvalidTag as error:
            raise _forged() from error
        out[:] = plaintext


def suite(name: str) -> Suite:
    """The suite of a name.

    Raises:
        SettingsError: there is none.
    """
    if name == "AES-256-GCM-SHA256":
        return Suite(name, "AEAD_AES_256_GCM", 32, "SHA-256", "cryptography (OpenSSL)")
    if name == "SM4-GCM-SM3":
        return Suite(name, "AEAD_SM4_GCM", 16, "SM3", sm4_implementation(os.environ.get("LIUCUN_SM4", "auto")))
    raise SettingsError(f"There is no suite {name!r}.", cure=f"Choose one of {', '.join(SUITE_NAMES)}.")


@functools.cache
def sm4_implementation(wish: str) -> str:
    """Which implementation serves SM4 in this process, in words: ``libgcrypt VERSION`` or ``cryptography (reason)``.

    ``wish`` is ``auto`` or ``cryptography``.
    """
    if wish == "cryptography":
        return "cryptography (OpenSSL; chosen by LIUCUN_SM4)"
    try:
        library = gcrypt.load()
        failed = next(_failures(library), None)
    except gcrypt.GcryptUnavailableError as error:
        return f"cryptography (OpenSSL; {error})"
    return f"cryptography (OpenSSL; libgcrypt failed: {failed})" if failed else f"libgcrypt {library.version}"


def _failures(library: gcrypt.Gcrypt) -> Iterator[str]:
    """Self-test: RFC 8998 appendix A.1, SM3 of ``abc`` (GB/T 32905 A.1), and both implementations across."""
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    nonce = bytes.fromhex("00001234567800000000ABCD")
    aad = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    plaintext = bytes.fromhex("AA" * 8 + "BB" * 8 + "CC" * 8 + "DD" * 8 + "EE" * 8 + "FF" * 8 + "EE" * 8 + "AA" * 8)
    expected = bytes.fromhex(
        "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
        "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
        "83DE3541E4C2B58177E065A9BF7B62EC"
    )
    cipher, other = library.cipher(key), _Sm4(key)
    sealed = bytearray(len(plaintext) + TAG_BYTES)
    cipher.seal_into(nonce, memoryview(plaintext), memoryview(sealed), aad)
    if bytes(sealed) != expected:
        yield "the SM4-GCM vector of RFC 8998"
    if library.sm3(b"abc").hex() != "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0":
        yield "the SM3 vector of GB/T 32905"
    back = bytearray(len(plaintext))
    try:
        other.open_into(nonce, memoryview(sealed), memoryview(back), aad)
        cipher.open_into(nonce, memoryview(sealed), memoryview(back), aad)
    except IntegrityError:
        yield "decryption across implementations"
    if bytes(back) != plaintext:
        yield "decryption across implementations"
    sealed[0] ^= 1
    try:
        cipher.open_into(nonce, memoryview(sealed), memoryview(back), aad)
    except IntegrityError:
        return
    yield "refusal of a changed ciphertext"


def _forged() -> IntegrityError:
    return IntegrityError("A sealed value failed authentication.", cure="Restore it from a backup.")
