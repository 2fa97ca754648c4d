"""Where the archive's bytes lie: named objects, written once, never changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Protocol

from errors import UsageError

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
MAX_NAME: Final = 512


class ObjectStore(Protocol):
    """Create-only objects by name. Every method raises members of ``StorageError``."""

    def put(self, name: str, data: bytes | memoryview) -> None:
        """Store an object durably; it appears whole or not at all.

        Raises:
            ObjectExistsError: there is one of that name.
            StorageError: the storage refused (full, input/output error, no right).
        """
        ...

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Return bytes [start, end) of an object, fewer past its end.

        Raises:
            ObjectMissingError: there is none.
        """
        ...

    def size(self, name: str) -> int:
        """Size in bytes; raises ``ObjectMissingError``."""
        ...

    def list(self, prefix: str = "") -> Iterator[str]:
        """Names that begin with ``prefix``, in order."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object durably; raises ``ObjectMissingError``."""
        ...


def check_name(name: str) -> str:
    """Return the name if it is one: parts of letters, digits and ``_.-`` joined by ``/``, no hidden or upward part.

    Raises:
        UsageError: it is not.
    """
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} is no object name.", cure="This is a fault of the caller or a damaged catalogue."
        )
    return name
