"""Where the parts of a store lie: folders and files below its own folder, or servers that outlive it."""

from __future__ import annotations

from pathlib import Path

from errors import UsageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import version
from retention.objects.opening import open_objects, refuse_used
from retention.objects.s3_settings import S3Settings


def is_url(where: str) -> bool:
    """Whether a place is on a server."""
    return "://" in where


def database_url(root: Path, where: str) -> str:
    """SQLAlchemy URL of a database: a file below ``root`` means SQLite."""
    return where if is_url(where) else f"sqlite:///{root / where}"


def make_folders(root: Path, *, objects: str, periods: str) -> None:
    """Make what a new store's local parts need."""
    if not is_url(periods):
        (root / periods).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not is_url(objects):
        (root / objects).mkdir(parents=True, exist_ok=True)


def refuse_used_places(*, objects: str, s3: S3Settings, catalogue: str, periods: str) -> None:
    """Servers outlive a store's folder: what another store left there must not become part of a new one.

    Raises:
        UsageError: a place holds a store already, or the period keys would lie in the catalogue's database.
        UnreachableError, NotPermittedError: a server is away or refuses.
    """
    if is_url(periods) and periods == catalogue:
        raise UsageError(
            "[keys] periods names the catalogue's database.",
            cure="Give the period keys a database of their own: its backups must not outlive a destroyed key.",
        )
    if is_url(objects):
        refuse_used(open_objects(Path(), objects, s3), objects)
    for room, where, field in (("retention", catalogue, "[archive] catalogue"), ("keys", periods, "[keys] periods")):
        if is_url(where):
            _refuse_used_database(where, room, field)


def _refuse_used_database(url: str, room: str, field: str) -> None:
    database = Catalogue.open(url)
    try:
        if version(database, room) is not None:
            raise UsageError(
                f"The database of {field} holds a store already.", cure="Give a new store a database of its own."
            )
    finally:
        database.close()
