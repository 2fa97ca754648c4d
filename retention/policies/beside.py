"""Everything that is sealed in the database under keys a month, of whatever class: asked for in one place."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from retention.crypto.bodies import TEXTS
from retention.policies.beside_unit import BesideUnit
from retention.policies.filed import filed_staying, filed_units
from retention.policies.model import Policy
from retention.policies.texts import staying, text_units


def beside_units(connection: sa.Connection, only: int | None = None) -> list[BesideUnit]:
    """Every unit that is there; ``only`` the one of this number."""
    return [*text_units(connection, only), *filed_units(connection, only)]


def beside_staying(
    connection: sa.Connection, record_class: str, key_id: str, policy: Policy, at: date
) -> dict[str, bool]:
    """Everything under a key, by its number, and whether it must stay on a day."""
    if record_class == TEXTS:
        return staying(connection, key_id, policy, at)
    return filed_staying(connection, record_class, key_id, policy, at)
