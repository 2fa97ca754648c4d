"""Secrets that settings name and never hold: read where they are needed, from the environment or a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from errors import SettingsError

_MOST_BYTES: Final = 1 << 16


def given_secret(what: str, *, variable: str = "", file: str = "", section: str) -> str:
    """The secret that an environment variable holds, or a file's first line; the variable first.

    Args:
        what: names it in messages: ``password``, say.
        section: where it is named, ``[search]`` say.

    Raises:
        SettingsError: it is not there, empty, or cannot be read. Nothing of it is in the message.
    """
    where = f"the environment variable {variable}" if variable else f"the file {file}"
    try:
        found = os.environ.get(variable, "") if variable else _first_line(file)
    except OSError as error:
        raise SettingsError(
            f"{section}: {where}, which holds the {what}, cannot be read: {error.strerror}.",
            cure="Check path and rights.",
        ) from error
    except ValueError as error:  # no UTF-8, or a path that none can be
        raise SettingsError(
            f"{section}: {where}, which holds the {what}, cannot be read: it is no text.",
            cure="Check path and content.",
        ) from error
    if not found:
        raise SettingsError(
            f"{section}: {where}, which holds the {what}, is not set or empty.",
            cure="Give it to every process that needs it, workers included.",
        )
    return found


def _first_line(file: str) -> str:
    with Path(file).open("rb") as opened:
        line = opened.readline(_MOST_BYTES + 1)
    if len(line) > _MOST_BYTES:
        raise ValueError
    return line.decode("utf-8").rstrip("\r\n")
