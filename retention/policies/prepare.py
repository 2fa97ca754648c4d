"""Brings the tables of policies, holds, destruction and persons' rights up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import retention.holds.tables
import retention.persons.tables
import retention.policies.tables
import retention.purge.tables  # noqa: F401 - loading these declares whose rows the log keeps images of
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.holds import tables as holds
from retention.persons import tables as persons
from retention.policies import tables as policies
from retention.purge import tables as purge

_SCRIPTS: Final = Path(__file__).parent / "migrations"
TABLES: Final = (policies.metadata, holds.metadata, purge.metadata, persons.metadata)
"""Importing them also registers which rows their events carry into the log."""


def prepare_policies(catalogue: Catalogue) -> None:
    """Run this room's migrations; two processes may do so at once."""
    migrate(catalogue, room="policies", script_location=_SCRIPTS)
