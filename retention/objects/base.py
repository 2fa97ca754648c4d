"""What the archive asks of a place that keeps objects: create-only, durable, readable in part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Protocol

from retention.errors import ObjectMissingError, ObjectNameError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,7}")
NAME_LIMIT: Final = 512
"""Longest object name, in characters."""


class ObjectStore(Protocol):
    """Objects by name. A written object never changes; names are relative, parts separated by ``/``."""

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Store an object; when this returns it survives a power cut, and when it fails nothing bears the name.

        Raises:
            ObjectExistsError: the name is taken; what is there was not touched.
            DiskFullError, StorageError: it could not be stored.
        """
        ...

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Bytes [start, end) of an object; what lies past its end is left out.

        Raises:
            ObjectMissingError: there is no such object.
        """
        ...

    def size(self, name: str) -> int:
        """Length of an object in bytes."""
        ...

    def list(self, prefix: str = "") -> Iterator[str]:
        """Names that begin with ``prefix``, in order. Objects that are being written do not appear."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object for good.

        Raises:
            ObjectMissingError: there is no such object.
        """
        ...

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""
        ...


def checked_name(name: str) -> str:
    """The name itself if it is allowed.

    Raises:
        ObjectNameError: it could leave the store's folder, hide, or be spelt in two ways.
    """
    if len(name) > NAME_LIMIT or not _NAME.fullmatch(name):
        raise ObjectNameError(
            f"{name[:80]!r} is no object name.",
            cure="Names are up to eight parts of A-Z a-z 0-9 . _ - separated by '/', none beginning with a dot.",
        )
    return name


def missing(name: str) -> ObjectMissingError:
    """The error for an object that is not there."""
    return ObjectMissingError(
        f"The object {name!r} is not in the store.",
        cure="Restore it from a backup or a replica; `liucun audit integrity` lists all that is missing.",
    )


def checked_range(name: str, start: int, end: int | None) -> None:
    """Refuse ranges that could only come from a fault of the program."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"range [{start}, {end}) of {name!r}")
