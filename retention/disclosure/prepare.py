"""Brings the tables of disclosures up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import retention.disclosure.tables  # noqa: F401 - declares whose rows the log keeps images of
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def prepare_disclosure(catalogue: Catalogue) -> None:
    """Run this room's migrations; two processes may do so at once."""
    migrate(catalogue, room="disclosure", script_location=_SCRIPTS)
