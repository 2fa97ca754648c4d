"""Loads whoever empties tables when a purge destroys what is sealed in them: each registers itself."""

from __future__ import annotations

from importlib import import_module
from typing import Final

_KEEPERS: Final = (
    "retention.disclosure.retaining",
    "tickets.retaining",
    "tickets.retaining_duties",
    "tickets.retaining_filed",
)


def load_keepers() -> None:
    """Before a purge goes on. Loaded late, for most commands destroy nothing."""
    for name in _KEEPERS:
        import_module(name)
