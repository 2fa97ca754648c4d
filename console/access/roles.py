"""Which roles go together. What each may do stands in the table that every door goes by (``tickets/rights.py``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tickets.rights import GRANTS, Right, Role, permissions

__all__ = ["ALONE", "GRANTS", "Right", "Role", "conflict", "permissions"]

ALONE: Final = frozenset({Role.AUDITOR, Role.COLLECTOR})
"""Roles that nobody holds together with another: an auditor changes nothing, a program that sends logs nothing else."""


def conflict(roles: Iterable[Role]) -> bool:
    """Whether no account may hold these roles together."""
    held = frozenset(roles)
    return bool(held & ALONE) and len(held) > 1
