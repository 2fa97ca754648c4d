"""Whether an object store keeps its promises, tried on the store itself: create-only put, versions, lock, hold."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from errors import LiucunError
from retention.errors import ObjectExistsError, ObjectLockedError
from retention.objects.base import ObjectStore
from retention.objects.locking import LockingObjects, can_lock
from retention.objects.s3 import S3Objects

PREFIX: Final = "probes/"
_LOCK_SECONDS: Final = 5.0
"""How long a probe is locked: two clocks may differ by less than this, and a slow deletion still falls into it."""


@dataclass(frozen=True, slots=True)
class Probed:
    """One promise: ``kept``, and in words what was seen. ``needed``: without it the archive must not be used."""

    promise: str
    kept: bool
    seen: str
    needed: bool = True


def probe(objects: ObjectStore) -> Iterator[Probed]:
    """Try each promise with objects of their own below ``probes/`` and remove them; takes some seconds with locks.

    Raises:
        LiucunError: the store cannot be used at all.
    """
    name = f"{PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    objects.put(name, b"liucun")
    yield _create_only(objects, name)
    if isinstance(objects, S3Objects):
        versions = objects.versioning()
        yield Probed("versions", versions, "the bucket keeps versions" if versions else "the bucket keeps no versions")
    if can_lock(objects):
        yield from _locks(objects, name)
    objects.delete(name)


def _create_only(objects: ObjectStore, name: str) -> Probed:
    try:
        objects.put(name, b"another")
    except ObjectExistsError:
        return Probed("create-only put", True, "a second put of a name is refused")
    return Probed("create-only put", False, "a second put of a name is taken: If-None-Match is ignored")


def _locks(objects: LockingObjects, name: str) -> Iterator[Probed]:
    if isinstance(objects, S3Objects) and not objects.locking():
        yield Probed("object lock", False, "the bucket was made without object lock", needed=False)
        return
    yield _refuses_deletion(objects, name, "legal hold", on=lambda: objects.hold(name, True))
    objects.hold(name, False)
    until = datetime.now(UTC) + timedelta(seconds=_LOCK_SECONDS)
    seen = _refuses_deletion(objects, name, "object lock", on=lambda: objects.lock(name, until))
    yield seen
    if seen.kept:
        time.sleep(_LOCK_SECONDS + 0.5)


def _refuses_deletion(objects: LockingObjects, name: str, promise: str, *, on: Callable[[], None]) -> Probed:
    try:
        on()
    except LiucunError as error:
        return Probed(promise, False, error.what, needed=False)
    try:
        objects.delete(name)
    except ObjectLockedError:
        return Probed(promise, True, "a protected object cannot be deleted", needed=False)
    objects.put(name, b"liucun")
    return Probed(promise, False, "a protected object was deleted", needed=False)
