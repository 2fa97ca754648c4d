"""Opens the place that ``[archive] objects`` names: a folder, or S3-compatible storage."""

from __future__ import annotations

from pathlib import Path

from errors import UsageError
from retention.objects.base import ObjectStore
from retention.objects.local import LocalObjects
from retention.objects.s3_settings import SCHEME, S3Settings


def open_objects(root: Path, where: str, s3: S3Settings) -> ObjectStore:
    """The object store at ``where``: a folder relative to ``root``, or ``s3://bucket/prefix``.

    Raises:
        SettingsError: the URL is malformed, or of another kind.
    """
    if where.startswith(SCHEME) or "://" in where:
        # Loading the client of S3 takes a third of a second: only who uses it waits for it.
        from retention.objects.s3 import S3Objects

        return S3Objects(where, s3)
    return LocalObjects(root / where)


def close_objects(objects: ObjectStore) -> None:
    """Give back connections, where this kind of store has any."""
    if not isinstance(objects, LocalObjects) and callable(close := getattr(objects, "close", None)):
        close()


def refuse_used(objects: ObjectStore, where: str) -> None:
    """Refuse a place that holds objects already: two stores in one place would take each other's for orphans.

    Raises:
        UsageError: something is there.
    """
    found = next(iter(objects.list()), None)
    if found is not None:
        raise UsageError(
            f"There are objects at {where} already, e.g. {found!r}.", cure="Choose an empty prefix for a new store."
        )
