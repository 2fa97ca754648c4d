"""What a wrapped key is bound to, so that the database cannot hand one out as another."""

from __future__ import annotations

from typing import Final

BY_COLLECTOR: Final = b"liucun/collector-key/v1\x00"
"""Begins the contexts of keys that a process made which could not unwrap: anyone with a public key could have."""


def period_context(key_id: str, record_class: str, period: str, *, collector: bool = False) -> bytes:
    """Context of a period key; ``collector``: it was made by a process that cannot unwrap."""
    head = BY_COLLECTOR if collector else b"liucun/period-key/v1\x00"
    return head + "\x00".join((key_id, record_class, period)).encode("ascii")


def signing_context(algorithm: str, public: bytes) -> bytes:
    """Context of a signing key of the log: its algorithm and its public half."""
    return b"\x00".join((b"liucun/signing-key/v1", algorithm.encode("ascii"), public))
