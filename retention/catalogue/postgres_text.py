"""Text that PostgreSQL cannot store: the sign NUL, which incoming records may hold in names and numbers.

SQLite keeps it. Here it is written as U+2400 (SYMBOL FOR NULL), in what is stored and in what is searched for
alike, so that one hostile record cannot stop a source. What identifies content is a keyed hash of the original.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.types.string import StrDumper

_SHOWN = "\u2400"


def without_nul(value: Any) -> Any:
    """The value as it is stored: a text without NUL, anything else as it is."""
    return value.replace("\x00", _SHOWN) if isinstance(value, str) and "\x00" in value else value


class _NulDumper(StrDumper):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(without_nul(obj))


def keep_nul(connection: psycopg.Connection[Any], _record: object) -> None:
    """Let a new connection take texts with NUL (listener of SQLAlchemy's ``connect`` event)."""
    connection.adapters.register_dumper(str, _NulDumper)
