"""Signatures of what goes out: HMAC by SM3 or SHA-256 over moment, key and body; they fit nothing else."""

from __future__ import annotations

import hashlib

import pytest

from tests.tickets.sending import SECRET
from tickets.delivery.signing import sign, verify
from tickets.errors import SignatureError


@pytest.mark.parametrize("algorithm", ["hmac-sm3", "hmac-sha256"])
def test_signatures_fit_only_what_was_signed(algorithm: str) -> None:
    body, now = b'{"a":1}', 1_800_000_000
    headers = {
        "Liucun-Timestamp": str(now),
        "Idempotency-Key": "k",
        "Liucun-Signature": sign(SECRET, algorithm, now, "k", body),
    }
    assert verify(SECRET, headers, body, now=now + 299) == "k"
    wrong: list[tuple[str, dict[str, str], bytes, float]] = [
        ("other", headers, body, now),
        (SECRET, headers, body + b" ", now),
        (SECRET, {**headers, "Idempotency-Key": "k2"}, body, now),
        (SECRET, {**headers, "Liucun-Timestamp": str(now + 1)}, body, now),
        (SECRET, {**headers, "Liucun-Timestamp": "١٢"}, body, now),
        (SECRET, {**headers, "Liucun-Signature": "md5=x"}, body, now),
        (SECRET, {**headers, "Liucun-Signature": algorithm + "=é"}, body, now),
        (SECRET, {}, body, now),
        (SECRET, headers, body, now + 301),
    ]
    for secret, given, content, at in wrong:
        with pytest.raises(SignatureError):
            verify(secret, given, content, now=at)


def test_the_sm3_signature_is_the_standard_s() -> None:
    # HMAC as in RFC 2104 over SM3 (GB/T 32905), computed by hand from its definition.
    key, message = SECRET.encode(), b"7.k.body"
    pad = key.ljust(64, b"\0")
    inner = hashlib.new("sm3", bytes(b ^ 0x36 for b in pad) + message).digest()
    outer = hashlib.new("sm3", bytes(b ^ 0x5C for b in pad) + inner).hexdigest()
    assert sign(SECRET, "hmac-sm3", 7, "k", b"body") == f"hmac-sm3={outer}"
