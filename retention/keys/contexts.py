"""What a wrapped key is bound to, so that the database cannot hand one out as another."""

from __future__ import annotations


def period_context(key_id: str, record_class: str, period: str) -> bytes:
    """Context of a period key."""
    return "\x00".join(("liucun/period-key/v1", key_id, record_class, period)).encode("ascii")


def signing_context(algorithm: str, public: bytes) -> bytes:
    """Context of a signing key of the log: its algorithm and its public half."""
    return b"\x00".join((b"liucun/signing-key/v1", algorithm.encode("ascii"), public))
