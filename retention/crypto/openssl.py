"""SM4-GCM, AES-256-GCM, SM3 and SHA-256 by the ``cryptography`` package (OpenSSL) and ``hashlib``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import cryptography
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.backends.openssl.backend import backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retention.crypto.ciphers import CHUNK_BYTES, SEALED_CHUNK_BYTES, TAG_BYTES, Buffer, Hasher, TagError, nonce_at


def version() -> str:
    """Names the package and the library inside it."""
    return f"cryptography {cryptography.__version__} ({' '.join(backend.openssl_version_text().split()[:2])})"


class Sm3:
    """SM3 fed piece by piece; a ``Hasher``."""

    def __init__(self) -> None:
        self._state = hashes.Hash(hashes.SM3())

    def update(self, data: Buffer) -> None:
        """Feed a piece."""
        self._state.update(data)

    def digest(self) -> bytes:
        """The 32 bytes; nothing may be fed afterwards."""
        return self._state.finalize()


def sm3_once(data: bytes) -> bytes:
    """SM3 of one message."""
    state = hashes.Hash(hashes.SM3())
    state.update(data)
    return state.finalize()


def sm3_many(messages: Sequence[bytes]) -> list[bytes]:
    """SM3 of each of many messages."""
    return [sm3_once(message) for message in messages]


def sha256_many(messages: Sequence[bytes]) -> list[bytes]:
    """SHA-256 of each of many messages."""
    return [hashlib.sha256(message).digest() for message in messages]


def sha256_once(data: bytes) -> bytes:
    """SHA-256 of one message."""
    return hashlib.sha256(data).digest()


def sha256_hasher() -> Hasher:
    """A running SHA-256."""
    return hashlib.sha256()


def sm4_blocks(key: bytes) -> Callable[[bytes], bytes]:
    """SM4 over blocks of 16 bytes, each by itself."""
    return Cipher(algorithms.SM4(key), modes.ECB()).encryptor().update  # the inside of CMAC


def aes_blocks(key: bytes) -> Callable[[bytes], bytes]:
    """AES over blocks of 16 bytes, each by itself."""
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # the inside of CMAC


class _OneByOne:
    """Runs of chunks as a loop over two primitives."""

    def __init__(
        self,
        seal_into: Callable[[bytes, Buffer, bytes, memoryview], None],
        open_into: Callable[[bytes, Buffer, bytes, memoryview], None],
    ) -> None:
        self._seal_into = seal_into
        self._open_into = open_into

    def seal(self, nonce: bytes, plaintext: Buffer, aad: bytes) -> bytes:
        """See ``Cipher.seal``."""
        out = bytearray(len(plaintext) + TAG_BYTES)
        self._seal_into(nonce, plaintext, aad, memoryview(out))
        return bytes(out)

    def open(self, nonce: bytes, sealed: Buffer, aad: bytes) -> bytes:
        """See ``Cipher.open``."""
        if len(sealed) < TAG_BYTES:
            raise TagError
        out = bytearray(len(sealed) - TAG_BYTES)
        try:
            self._open_into(nonce, sealed, aad, memoryview(out))
        except InvalidTag:
            raise TagError from None
        return bytes(out)

    def seal_chunks(self, base: bytes, first: int, plaintext: Buffer, out: memoryview) -> None:
        """See ``Cipher.seal_chunks``."""
        source = memoryview(plaintext)
        count = max(1, -(-len(source) // CHUNK_BYTES))
        if len(out) != len(source) + TAG_BYTES * count:
            raise ValueError("the output is not as long as the sealed chunks")
        for index in range(count):
            at = index * SEALED_CHUNK_BYTES
            chunk = source[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
            self._seal_into(nonce_at(base, first + index), chunk, b"", out[at : at + len(chunk) + TAG_BYTES])

    def open_chunks(self, base: bytes, first: int, sealed: Buffer, out: memoryview) -> None:
        """See ``Cipher.open_chunks``."""
        source = memoryview(sealed)
        count = -(-len(source) // SEALED_CHUNK_BYTES)
        if len(out) != len(source) - TAG_BYTES * count:
            raise ValueError("the output is not as long as the opened chunks")
        for index in range(count):
            chunk = source[index * SEALED_CHUNK_BYTES : (index + 1) * SEALED_CHUNK_BYTES]
            at = index * CHUNK_BYTES
            if len(chunk) < TAG_BYTES:
                raise TagError(index)
            try:
                self._open_into(nonce_at(base, first + index), chunk, b"", out[at : at + len(chunk) - TAG_BYTES])
            except InvalidTag:
                raise TagError(index) from None


class Aes256Gcm(_OneByOne):
    """AES-256-GCM under a 32-byte key; a ``Cipher``."""

    def __init__(self, key: bytes) -> None:
        aead = AESGCM(key)

        def seal_into(nonce: bytes, plaintext: Buffer, aad: bytes, out: memoryview) -> None:
            aead.encrypt_into(nonce, plaintext, aad, out)

        def open_into(nonce: bytes, sealed: Buffer, aad: bytes, out: memoryview) -> None:
            aead.decrypt_into(nonce, sealed, aad, out)

        super().__init__(seal_into, open_into)

    def __repr__(self) -> str:
        return "<AES-256-GCM by OpenSSL>"


class Sm4Gcm(_OneByOne):
    """SM4-GCM under a 16-byte key; a ``Cipher``."""

    def __init__(self, key: bytes) -> None:
        algorithm = algorithms.SM4(key)

        def seal_into(nonce: bytes, plaintext: Buffer, aad: bytes, out: memoryview) -> None:
            context = Cipher(algorithm, modes.GCM(nonce)).encryptor()
            context.authenticate_additional_data(aad)
            length = context.update_into(plaintext, out)
            context.finalize()
            out[length:] = context.tag

        def open_into(nonce: bytes, sealed: Buffer, aad: bytes, out: memoryview) -> None:
            view = memoryview(sealed)
            context = Cipher(algorithm, modes.GCM(nonce, bytes(view[-TAG_BYTES:]))).decryptor()
            context.authenticate_additional_data(aad)
            # The plaintext lies in the caller's private buffer, which is dropped unless finalize() returns.
            context.update_into(view[:-TAG_BYTES], out)
            context.finalize()

        super().__init__(seal_into, open_into)

    def __repr__(self) -> str:
        return "<SM4-GCM by OpenSSL>"
