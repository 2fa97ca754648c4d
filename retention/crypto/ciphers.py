"""What a suite asks of a cipher implementation: single messages and runs of chunks.

Chunk ``i`` of a run is sealed with the nonce ``base XOR i`` (big-endian), an empty AAD,
and its 16-byte tag behind it, as C2SP chunked-encryption has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

Buffer = bytes | bytearray | memoryview

CHUNK_BYTES: Final = 16384
"""Plaintext of every chunk but the last, which is shorter (C2SP chunked-encryption)."""
TAG_BYTES: Final = 16
NONCE_BYTES: Final = 12
SEALED_CHUNK_BYTES: Final = CHUNK_BYTES + TAG_BYTES


class TagError(Exception):
    """A tag did not verify; ``index`` counts the messages of the call. Never leaves the archive's room."""

    def __init__(self, index: int = 0) -> None:
        super().__init__(index)
        self.index = index


class Cipher(Protocol):
    """An AEAD under one key; safe for threads."""

    def seal(self, nonce: bytes, plaintext: Buffer, aad: bytes) -> bytes:
        """Ciphertext and tag."""
        ...

    def open(self, nonce: bytes, sealed: Buffer, aad: bytes) -> bytes:
        """The plaintext, only after its tag has been verified.

        Raises:
            TagError: it does not verify.
        """
        ...

    def seal_chunks(self, base: bytes, first: int, plaintext: Buffer, out: memoryview) -> None:
        """Seal a run of chunks numbered from ``first`` into ``out``; the run's last chunk may be short or empty."""
        ...

    def open_chunks(self, base: bytes, first: int, sealed: Buffer, out: memoryview) -> None:
        """Open such a run into ``out``; when this raises, ``out`` holds nothing that may be used.

        Raises:
            TagError: chunk ``first + index`` does not verify.
        """
        ...


class Hasher(Protocol):
    """A hash fed piece by piece."""

    def update(self, data: Buffer, /) -> None:
        """Feed a piece."""
        ...

    def digest(self) -> bytes:
        """The digest; nothing may be fed afterwards."""
        ...


HasherMaker = Callable[[], Hasher]
"""Starts a hash."""

HashOnce = Callable[[bytes], bytes]
"""Hashes one short message."""

HashMany = Callable[[Sequence[bytes]], list[bytes]]
"""Hashes many short messages, each by itself."""

CipherMaker = Callable[[bytes], Cipher]
"""Makes a cipher from a key."""

BlockMaker = Callable[[bytes], Callable[[bytes], bytes]]
"""Makes, from a key, what encrypts blocks of 16 bytes each by itself."""


def nonce_at(base: bytes, number: int) -> bytes:
    """The nonce of chunk ``number``."""
    return (int.from_bytes(base) ^ number).to_bytes(NONCE_BYTES)
