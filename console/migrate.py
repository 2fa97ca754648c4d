"""Brings the console's tables up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate

SCRIPTS: Final = Path(__file__).parent / "migrations"


def prepare_tables(catalogue: Catalogue) -> None:
    """Run the console's migrations to the newest version."""
    migrate(catalogue, room="console", script_location=SCRIPTS)
