"""Object lock: what an object store with write-once protection adds to ``ObjectStore``.

A lock holds until its day for everybody, the archive's own account and the server's administrator
included; it can be made longer, never shorter. A hold lasts until it is taken off.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, TypeGuard

from retention.objects.base import ObjectStore


class LockingObjects(ObjectStore, Protocol):
    """An object store that can keep an object from being deleted."""

    def lock(self, name: str, until: datetime) -> None:
        """Protect an object until a moment; a later one extends the lock, the same or an earlier one changes nothing.

        Raises:
            ObjectMissingError: there is no such object.
            ObjectLockedError: the store refuses.
        """
        ...

    def locked_until(self, name: str) -> datetime | None:
        """The moment (UTC) until which an object is locked, None when it is not."""
        ...

    def hold(self, name: str, on: bool) -> None:
        """Put a legal hold on an object or take it off.

        Raises:
            ObjectMissingError: there is no such object.
        """
        ...

    def held(self, name: str) -> bool:
        """Whether a legal hold is on the object."""
        ...


def can_lock(objects: ObjectStore) -> TypeGuard[LockingObjects]:
    """Whether this kind of store has locks at all; ``probe`` says whether the server honours them."""
    return all(hasattr(objects, name) for name in ("lock", "locked_until", "hold", "held"))
