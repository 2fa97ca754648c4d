"""Brings a room's tables up to date by Alembic; each room has its own scripts and version table."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config

from retention.catalogue.engine import Catalogue

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(catalogue: Catalogue, *, room: str = "retention", script_location: Path = SCRIPTS) -> None:
    """Run a room's migrations to the newest version, in one write transaction.

    Two processes may call this at once: the second waits, then finds nothing to do.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    with catalogue.write() as connection:
        config.attributes["connection"] = connection
        config.attributes["version_table"] = f"alembic_version_{room}"
        command.upgrade(config, "head")
