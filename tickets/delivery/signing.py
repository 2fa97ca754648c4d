"""Signatures of messages between the queue and the platform: HMAC-SM3 (GB/T 15852.2) or HMAC-SHA-256.

Signed is ``TIMESTAMP.KEY.BODY``: the time in Unix seconds, the idempotency key, the bytes of the body.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from tickets.errors import SignatureError

ALGORITHMS: Final = {"hmac-sm3": "sm3", "hmac-sha256": "sha256"}
TIMESTAMP: Final = "Liucun-Timestamp"
SIGNATURE: Final = "Liucun-Signature"
KEY: Final = "Idempotency-Key"
TOLERANCE: Final = 300
"""Seconds that a message may be older or newer than the receiver's clock."""
MAX_BODY: Final = 1 << 20


def sign(secret: str, algorithm: str, timestamp: int, key: str, body: bytes) -> str:
    """The value of the signature header, e.g. ``hmac-sm3=6f…``."""
    return f"{algorithm}={_digest(secret, algorithm, timestamp, key, body)}"


def signed_headers(secret: str, algorithm: str, timestamp: int, key: str, body: bytes) -> dict[str, str]:
    """The three headers of a signed message."""
    return {TIMESTAMP: str(timestamp), KEY: key, SIGNATURE: sign(secret, algorithm, timestamp, key, body)}


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> str:
    """Check a signed message and return its idempotency key. ``headers`` by lower-case name; ``now`` in Unix seconds.

    Raises:
        SignatureError: a header is missing or malformed, the time is off by more than five minutes, the signature is
            not the secret's.
    """
    given = {name.lower(): value for name, value in headers.items()}
    stamp, key, signature = (given.get(name.lower(), "") for name in (TIMESTAMP, KEY, SIGNATURE))
    algorithm, _, digest = signature.partition("=")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12 or not 1 <= len(key) <= 128:
        raise _wrong("its time or key is missing or malformed")
    if algorithm not in ALGORITHMS or len(body) > MAX_BODY:
        raise _wrong("its algorithm is not known or its body too large")
    if abs(now - int(stamp)) > TOLERANCE:
        raise _wrong("its time is off by more than five minutes")
    expected = _digest(secret, algorithm, int(stamp), key, body)
    if not hmac.compare_digest(expected.encode(), digest.encode("utf-8", "replace")):
        raise _wrong("the signature does not fit")
    return key


def _digest(secret: str, algorithm: str, timestamp: int, key: str, body: bytes) -> str:
    message = f"{timestamp}.{key}.".encode() + body
    return hmac.new(secret.encode(), message, lambda: hashlib.new(ALGORITHMS[algorithm])).hexdigest()


def _wrong(why: str) -> SignatureError:
    return SignatureError(f"A signed message was refused: {why}.", cure="Check the shared secret and both clocks.")
