"""Loads whoever empties tables when a purge destroys what is sealed in them: each registers itself."""

from __future__ import annotations


def load_keepers() -> None:
    """Before a purge goes on. Loaded late, for most commands destroy nothing."""
    import tickets.retaining
    import tickets.retaining_duties
    import tickets.retaining_filed  # noqa: F401
