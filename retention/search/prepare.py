"""Brings the follower's tables up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def prepare_search(catalogue: Catalogue) -> None:
    """Run this room's migrations; two processes may do so at once."""
    migrate(catalogue, room="search", script_location=_SCRIPTS)
