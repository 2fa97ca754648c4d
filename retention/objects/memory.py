"""Objects in memory, for tests and for trying things out."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from retention.errors import ObjectExistsError
from retention.objects.base import checked_name, checked_range, missing


class MemoryObjects:
    """Keeps objects in a dictionary; safe for threads."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """See ``ObjectStore.put``."""
        kept = bytes(data)
        with self._lock:
            if checked_name(name) in self._objects:
                raise ObjectExistsError(f"The object {name!r} exists already.", cure="Nothing was overwritten.")
            self._objects[name] = kept

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """See ``ObjectStore.read``."""
        checked_range(name, start, end)
        return self._get(name)[start:end]

    def size(self, name: str) -> int:
        """See ``ObjectStore.size``."""
        return len(self._get(name))

    def list(self, prefix: str = "") -> Iterator[str]:
        """See ``ObjectStore.list``."""
        with self._lock:
            names = sorted(self._objects)
        return (name for name in names if name.startswith(prefix))

    def delete(self, name: str) -> None:
        """See ``ObjectStore.delete``."""
        with self._lock:
            if self._objects.pop(checked_name(name), None) is None:
                raise missing(name)

    def exists(self, name: str) -> bool:
        """See ``ObjectStore.exists``."""
        return checked_name(name) in self._objects

    def _get(self, name: str) -> bytes:
        with self._lock:
            found = self._objects.get(checked_name(name))
        if found is None:
            raise missing(name)
        return found
