"""Sealing of single small values under a long-lived key.

Each value gets a key and nonce of its own, derived from 24 random bytes that stand in
front of it, so that no count of values under one key comes near the limits of a
random 96-bit nonce::

    key' || nonce = HKDF-Expand(key, "liucun/envelope/v1" || 0x00 || AEAD name || 0x00 || purpose || 0x00 || salt)
    envelope      = salt || AEAD(key', nonce, plaintext, AAD = context)
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from retention.crypto.ciphers import NONCE_BYTES, TAG_BYTES, Buffer
from retention.crypto.suites import Suite
from retention.errors import AuthenticationError

SALT_BYTES: Final = 24
OVERHEAD_BYTES: Final = SALT_BYTES + TAG_BYTES


def seal(
    suite: Suite,
    key: bytes,
    plaintext: Buffer,
    *,
    purpose: str,
    context: bytes,
    _random: Callable[[int], bytes] = secrets.token_bytes,
) -> bytes:
    """Seal a value for a purpose (an ASCII word of ours) and a context (whatever it belongs to).

    ``_random`` is for test vectors alone: a salt that comes twice under a key gives away both values.
    """
    salt = _random(SALT_BYTES)
    own_key, nonce = _derive(suite, key, purpose, salt)
    return salt + suite.seal(own_key, nonce, plaintext, context)


def open_(suite: Suite, key: bytes, envelope: Buffer, *, purpose: str, context: bytes) -> bytes:
    """The value.

    Raises:
        AuthenticationError: changed, cut, or sealed with another key, purpose or context.
    """
    if len(envelope) < OVERHEAD_BYTES:
        raise AuthenticationError("A sealed value is cut.", cure="Restore it from a backup.")
    own_key, nonce = _derive(suite, key, purpose, bytes(envelope[:SALT_BYTES]))
    return suite.open(own_key, nonce, envelope[SALT_BYTES:], context)


def _derive(suite: Suite, key: bytes, purpose: str, salt: bytes) -> tuple[bytes, bytes]:
    info = b"\x00".join((b"liucun/envelope/v1", suite.aead_name.encode("ascii"), purpose.encode("ascii"), salt))
    material = suite.hkdf_expand(key, info, suite.key_bytes + NONCE_BYTES)
    return material[: suite.key_bytes], material[suite.key_bytes :]
