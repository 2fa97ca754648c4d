"""The container of a sealed segment: a short header, then C2SP chunked-encryption v1 with random access.

``docs/archive-format.md`` specifies every byte. The header's first part names the suite and
what the segment is, and is bound to the data key and to every chunk; its second part holds the
data key, sealed under a period key. The payload is the published construction unchanged:
16 KiB chunks, a 24-byte salt, a 32-byte key commitment, the last chunk always short.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from retention.crypto import envelope
from retention.crypto.ciphers import CHUNK_BYTES, NONCE_BYTES, SEALED_CHUNK_BYTES, TAG_BYTES, Buffer, Cipher
from retention.crypto.suites import NAMES, Suite, suite
from retention.errors import AuthenticationError, HeaderError, TruncatedError
from retention.keys.memory import PeriodKey

MAGIC: Final = b"\x89LCS\r\n\x1a\n"
VERSION: Final = 1
HEADER_LIMIT: Final = 1024
"""Longest header in bytes; nothing past it is read before the header is authenticated."""
SALT_BYTES: Final = 24
COMMITMENT_BYTES: Final = 32
PAYLOAD_OVERHEAD: Final = SALT_BYTES + COMMITMENT_BYTES
CHUNK_LIMIT: Final = 1 << 38

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,95}")


@dataclass(frozen=True, slots=True)
class Binding:
    """What a segment is; every byte of it is bound to its data key and its chunks."""

    segment_id: str
    attempt: str
    record_class: str
    period: str
    schema_version: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header taken apart; nothing in it is to be believed before the data key has been opened."""

    suite_name: str
    binding: Binding
    key_id: str
    sealed_key: bytes
    bound: bytes
    """The bytes from the magic to the end of the first part."""
    length: int
    """Length of the whole header."""

    @classmethod
    def parse(cls, data: bytes, segment: str) -> Header:
        """Take apart the header that begins ``data`` (at least ``HEADER_LIMIT`` bytes, or the whole object).

        Raises:
            HeaderError: it is not a header of this version within its bounds.
        """
        try:
            return _parse(data[:HEADER_LIMIT])
        except (ValueError, IndexError) as error:
            raise HeaderError(
                f"The header of segment {segment} cannot be read: {error}.",
                cure="Restore the object from a backup or a replica.",
                segment=segment,
            ) from None


@dataclass(frozen=True, slots=True, repr=False)
class PayloadKeys:
    """What chunked-encryption derives for one payload, and the salts of the plaintext's digest and of its rows."""

    cipher: Cipher
    base_nonce: bytes
    commitment: bytes
    digest_salt: bytes
    row_key: bytes

    def __repr__(self) -> str:
        return "<PayloadKeys>"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed segment: the whole object, the salted digest of its plaintext, and the key of its rows' salts."""

    data: bytearray
    plaintext_digest: bytes
    row_key: bytes = field(repr=False)


def seal(
    suite: Suite,
    key: PeriodKey,
    binding: Binding,
    plaintext: Buffer,
    *,
    _random: Callable[[int], bytes] = secrets.token_bytes,
) -> Sealed:
    """Seal a plaintext into a whole object under a fresh data key.

    Args:
        suite: the suite that seals both the data key and the chunks.
        key: the period key of the segment's class and month.
        binding: what the segment is.
        plaintext: any length; it is held in memory once more in sealed form.
        _random: for test vectors alone.
    """
    view = memoryview(plaintext).cast("B")
    bound = _bound_part(suite.name, binding)
    data_key = _random(suite.key_bytes)
    header = bound + _key_part(suite, key, bound, data_key, _random)
    salt = _random(SALT_BYTES)
    keys = payload_keys(suite, data_key, salt, bound, binding)
    start = len(header) + PAYLOAD_OVERHEAD
    # The last chunk is shorter than the others, so a full or empty remainder costs one more, empty, chunk.
    full, rest = divmod(len(view), CHUNK_BYTES)
    out = bytearray(start + full * SEALED_CHUNK_BYTES + rest + TAG_BYTES)
    out[:start] = header + salt + keys.commitment
    with memoryview(out) as target:
        middle = start + full * SEALED_CHUNK_BYTES
        if full:
            keys.cipher.seal_chunks(keys.base_nonce, 0, view[: full * CHUNK_BYTES], target[start:middle])
        keys.cipher.seal_chunks(keys.base_nonce, full, view[full * CHUNK_BYTES :], target[middle:])
    return Sealed(out, suite.hash(keys.digest_salt, view), keys.row_key)


def open_data_key(header: Header, period_key: Callable[[str], PeriodKey], segment: str) -> tuple[Suite, bytes]:
    """The suite and the data key of a header, which is authentic if this returns.

    Raises:
        HeaderError: the data key does not authenticate.
        KeyAccessError: the period key is unknown, destroyed or refused.
    """
    chosen = suite(header.suite_name)
    key = period_key(header.key_id)
    try:
        return chosen, envelope.open_(
            chosen,
            key.key,
            header.sealed_key,
            purpose="segment-key",
            context=_key_context(chosen, header.bound, header.key_id),
        )
    except AuthenticationError:
        raise HeaderError(
            f"The header of segment {segment} does not authenticate: it was changed.",
            cure="Restore the object from a backup or a replica.",
            segment=segment,
        ) from None


def payload_keys(suite: Suite, data_key: bytes, salt: bytes, bound: bytes, binding: Binding) -> PayloadKeys:
    """Key, base nonce and commitment of a payload (C2SP chunked-encryption v1, "Key derivation")."""
    digest = suite.hash(bound)
    context = b"".join(
        (
            b"liucun/segment/v1\x00",
            digest,
            _word(binding.segment_id),
            _word(binding.record_class),
            binding.schema_version.to_bytes(2),
        )
    )
    info = b"c2sp.org/chunked-encryption@v1+" + suite.aead_name.encode("ascii") + b"\x00" + salt + context
    material = suite.hkdf_expand(data_key, info, suite.key_bytes + NONCE_BYTES + COMMITMENT_BYTES)
    nonce_at = suite.key_bytes
    commitment_at = nonce_at + NONCE_BYTES
    return PayloadKeys(
        suite.cipher(material[:nonce_at]),
        material[nonce_at:commitment_at],
        material[commitment_at:],
        suite.hkdf_expand(data_key, b"liucun/plaintext-digest/v1\x00" + digest, 32),
        suite.hkdf_expand(data_key, b"liucun/row-salts/v1\x00" + digest, 32),
    )


def plaintext_bytes(payload: int, segment: str) -> int:
    """Length of the plaintext of a payload of so many bytes.

    Raises:
        TruncatedError: no plaintext has a payload of this length.
    """
    full, rest = divmod(payload - PAYLOAD_OVERHEAD, SEALED_CHUNK_BYTES)
    if full < 0 or rest < TAG_BYTES or full >= CHUNK_LIMIT:
        raise TruncatedError(
            f"Segment {segment} is cut: no container has a payload of {max(payload, 0)} bytes.",
            cure="Restore the object from a backup or a replica.",
            segment=segment,
            chunk=max(full, 0),
        )
    return full * CHUNK_BYTES + rest - TAG_BYTES


def _bound_part(suite_name: str, binding: Binding) -> bytes:
    words = (suite_name, binding.segment_id, binding.attempt, binding.record_class, binding.period)
    for word in words:
        if not _WORD.fullmatch(word):
            raise ValueError(f"{word!r} cannot stand in a header")
    part = b"".join(map(_word, words)) + binding.schema_version.to_bytes(2)
    return MAGIC + VERSION.to_bytes(2) + len(part).to_bytes(2) + part


def _key_part(suite: Suite, key: PeriodKey, bound: bytes, data_key: bytes, random: Callable[[int], bytes]) -> bytes:
    sealed = envelope.seal(
        suite,
        key.key,
        data_key,
        purpose="segment-key",
        context=_key_context(suite, bound, key.key_id),
        _random=random,
    )
    part = _word(key.key_id) + _word_bytes(sealed)
    return len(part).to_bytes(2) + part


def _key_context(suite: Suite, bound: bytes, key_id: str) -> bytes:
    return b"liucun/segment-key/v1\x00" + suite.hash(bound) + _word(key_id)


def _word(word: str) -> bytes:
    return _word_bytes(word.encode("ascii"))


def _word_bytes(word: bytes) -> bytes:
    return len(word).to_bytes(1) + word


def _parse(data: bytes) -> Header:
    if data[:8] != MAGIC:
        raise ValueError("it does not begin like a segment")
    version = int.from_bytes(data[8:10])
    if version != VERSION:
        raise ValueError(f"format version {version} is unknown")
    end = 12 + int.from_bytes(data[10:12])
    key_end = end + 2 + int.from_bytes(data[end : end + 2])
    if key_end > len(data):
        raise ValueError("its length is out of bounds")
    words, at = _words(data, 12, end, 5)
    if at + 2 != end:
        raise ValueError("its first part has a wrong length")
    if words[0] not in NAMES:
        raise ValueError(f"suite {words[0]!r} is unknown")
    (key_id,), at = _words(data, end + 2, key_end, 1)
    sealed_end = at + 1 + data[at]
    if sealed_end != key_end:
        raise ValueError("its second part has a wrong length")
    return Header(
        suite_name=words[0],
        binding=Binding(words[1], words[2], words[3], words[4], int.from_bytes(data[end - 2 : end])),
        key_id=key_id,
        sealed_key=data[at + 1 : key_end],
        bound=data[:end],
        length=key_end,
    )


def _words(data: bytes, at: int, end: int, count: int) -> tuple[list[str], int]:
    words = []
    for _ in range(count):
        stop = at + 1 + data[at]
        word = data[at + 1 : stop].decode("ascii")
        if stop > end or not _WORD.fullmatch(word):
            raise ValueError("it holds a word that is not allowed")
        words.append(word)
        at = stop
    return words, at
