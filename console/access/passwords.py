"""Passwords: argon2id, and what makes one good enough.

Length first (NIST SP 800-63B 5.1.1), with the mix of kinds that GB/T 22239-2019 8.1.4.1 asks of shorter ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from console.errors import WeakPasswordError

MIN_LENGTH: Final = 12
LONG_ENOUGH: Final = 20
"""From this length on, kinds of characters do not matter."""
MAX_LENGTH: Final = 256
"""Longer ones are refused before they are hashed."""
_KINDS: Final = 3
_HASHER: Final = PasswordHasher()
"""RFC 9106's second recommended option: argon2id, 64 MiB, three passes."""
_COMMON: Final = frozenset({"password", "qwerty", "123456", "liucun", "admin", "woaini", "letmein", "abc123"})


def hash_password(password: str) -> str:
    """The argon2id hash to keep. Check the password first."""
    return _HASHER.hash(password)


def fits(kept: str | None, password: str) -> bool:
    """Whether a password is the one whose hash was kept; takes as long when there is none."""
    if len(password) > MAX_LENGTH:
        return False
    try:
        return _HASHER.verify(kept or _nobody(), password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(kept: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(kept)


def check_password(password: str, *, account: str) -> None:
    """Refuse a password that is easy to guess.

    Raises:
        WeakPasswordError: says what is wrong.
    """
    cure = f"Take {MIN_LENGTH} characters or more of three kinds (a, A, 1, #), or {LONG_ENOUGH} of any."
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise WeakPasswordError(f"The password must have {MIN_LENGTH} to {MAX_LENGTH} characters.", cure=cure)
    low = password.casefold()
    if account.casefold() in low:
        raise WeakPasswordError("The password holds the account's name.", cure=cure)
    if len(set(password)) < 6:
        raise WeakPasswordError("The password repeats the same few characters.", cure=cure)
    bare = low.strip("0123456789!@#$%^&*._- ")
    if bare in _COMMON or low in _COMMON:
        raise WeakPasswordError("The password is one that everybody tries first.", cure=cure)
    kinds = (
        any(c.islower() for c in password)
        + any(c.isupper() for c in password)
        + any(c.isdigit() for c in password)
        + any(not c.isalnum() or ord(c) > 127 for c in password)
    )
    if kinds < _KINDS and len(password) < LONG_ENOUGH:
        raise WeakPasswordError("The password has too few kinds of characters.", cure=cure)


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _HASHER.hash("nobody has this password")
