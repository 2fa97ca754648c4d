"""Where the passphrase comes from: the environment, a file, or a prompt. It is never an argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from errors import KeyAccessError

SHORTEST = 12
"""Characters a new passphrase must have."""


def passphrase(*, new: bool = False, variable: str = "LIUCUN_PASSPHRASE", prompt: str = "Passphrase 口令") -> str:
    """Return the passphrase of ``LIUCUN_PASSPHRASE``, of the file ``LIUCUN_PASSPHRASE_FILE``, or typed at the prompt.

    Another ``variable`` is for another secret, in the same three ways.

    Raises:
        KeyAccessError: there is none and nobody to ask, the file cannot be read, or a new one is too short.
    """
    found = _from_environment(variable)
    if found is None:
        if not sys.stdin.isatty():
            raise KeyAccessError(
                f"No passphrase was given ({variable}).",
                cure=f"Set {variable}_FILE to a file that holds it, or {variable}.",
            )
        found = click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True)
    if new and len(found) < SHORTEST:
        raise KeyAccessError(
            f"The passphrase has {len(found)} characters; a new one needs {SHORTEST} or more.",
            cure="Choose a longer one: it protects every key of the archive.",
        )
    return found


def _from_environment(variable: str) -> str | None:
    given = os.environ.get(variable)
    if given:
        return given
    file = os.environ.get(f"{variable}_FILE")
    if not file:
        return None
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyAccessError(
            f"The passphrase file {file} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}.",
            cure=f"Check {variable}_FILE and the file's rights.",
        ) from error
    first = text.split("\n", 1)[0].removesuffix("\r")
    if not first:
        raise KeyAccessError(f"The passphrase file {file} is empty.", cure="Put the passphrase on its first line.")
    return first
