"""Objects in memory: for tests and measurements."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from retention.errors import ObjectExistsError, ObjectMissingError
from retention.objects.base import check_name


class MemoryObjects:
    """An ``ObjectStore`` that forgets everything with its process; ``reads`` records what was fetched."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self.reads: list[tuple[str, int, int]] = []

    def put(self, name: str, data: bytes | memoryview) -> None:
        """See ``ObjectStore``."""
        with self._lock:
            if check_name(name) in self._objects:
                raise ObjectExistsError(f"The object {name} exists.", cure="Write it under another name.")
            self._objects[name] = bytes(data)

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """See ``ObjectStore``."""
        found = self._get(name)[start:end]
        self.reads.append((name, start, start + len(found)))
        return found

    def size(self, name: str) -> int:
        """See ``ObjectStore``."""
        return len(self._get(name))

    def list(self, prefix: str = "") -> Iterator[str]:
        """See ``ObjectStore``."""
        yield from sorted(name for name in self._objects if name.startswith(prefix))

    def delete(self, name: str) -> None:
        """See ``ObjectStore``."""
        self._get(name)
        with self._lock:
            del self._objects[name]

    def replace(self, name: str, data: bytes) -> None:
        """Change an object behind the archive's back, as an attacker would."""
        self._get(name)
        self._objects[name] = data

    def _get(self, name: str) -> bytes:
        try:
            return self._objects[check_name(name)]
        except KeyError as error:
            raise ObjectMissingError(f"The object {name} is missing.", cure="Restore it from a backup.") from error
