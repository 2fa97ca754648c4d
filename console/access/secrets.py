"""Random secrets that are handed out once and kept as digests, and the digest itself.

SHA-256 without salt is enough here: every secret has 160 random bits or more (recovery codes 50, used once and
rate-limited); only passwords, which people choose, need argon2id.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"
"""Letters and digits that nobody mistakes for one another."""


def new_secret() -> str:
    """A secret of 256 random bits, safe in a URL and in a cookie."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a secret: 64 hex digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def readable(length: int) -> str:
    """A random word for a person to type, about five bits a letter."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def form_token(session_secret: str) -> str:
    """The token that forms of a session carry (CSRF); follows from the cookie's secret and does not give it away."""
    return hmac.new(session_secret.encode(), b"liucun/console/form/v1", hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
