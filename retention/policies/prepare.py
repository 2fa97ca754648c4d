"""Brings the tables of policies, holds, destruction and persons' rights up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def prepare_policies(catalogue: Catalogue) -> None:
    """Run this room's migrations; two processes may do so at once."""
    migrate(catalogue, room="policies", script_location=_SCRIPTS)
