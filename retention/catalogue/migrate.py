"""Brings a room's tables up to date by Alembic; each room has its own scripts and version table.

A script's file name begins with its revision (``0001_first.py``), so that whether
anything is to be done is known without loading Alembic.
"""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa

from errors import SettingsError
from retention.catalogue.engine import Catalogue, serialise

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(catalogue: Catalogue, *, room: str = "retention", script_location: Path = SCRIPTS) -> None:
    """Run a room's migrations to the newest version, in one write transaction.

    Two processes may call this at once: the second waits, then finds nothing to do.

    Raises:
        SettingsError: the tables were made by a newer version of the program.
    """
    known = sorted(path.name.partition("_")[0] for path in (script_location / "versions").glob("[0-9]*_*.py"))
    found = version(catalogue, room)
    if found is not None and found not in known:
        raise SettingsError(
            f"The catalogue's tables of {room!r} are of version {found}, newer than this program knows.",
            cure="Use the Liucun version that made the store, or a newer one.",
        )
    if found == known[-1]:
        return

    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    with catalogue.write(row_locks=True) as connection:
        serialise(connection, f"migrate {room}")
        config.attributes["connection"] = connection
        config.attributes["version_table"] = f"alembic_version_{room}"
        command.upgrade(config, "head")


def version(catalogue: Catalogue, room: str) -> str | None:
    """Revision of a room's tables, None before the first migration."""
    table = f"alembic_version_{room}"
    with catalogue.read() as connection:
        if not sa.inspect(connection).has_table(table):
            return None
        return connection.execute(sa.select(sa.column("version_num")).select_from(sa.table(table))).scalar_one_or_none()
