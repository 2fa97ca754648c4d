"""Changes one value of ``liucun.toml`` and nothing else: comments and order stay, and the result is read back."""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from pathlib import Path
from typing import Any

from errors import SettingsError, StorageError
from liucun.settings import FILE_NAME, read_settings


def set_key_provider(root: Path, kind: str) -> None:
    """Set ``[keys] provider`` in the store's settings.

    Raises:
        SettingsError: the file cannot be changed in place; it is as it was.
        StorageError: the disk refused.
    """
    path = root / FILE_NAME
    before = path.read_text(encoding="utf-8")
    after = _with_provider(before, kind)
    wanted: dict[str, Any] = tomllib.loads(before)
    wanted.setdefault("keys", {})["provider"] = kind
    try:
        as_wanted = tomllib.loads(after) == wanted
    except tomllib.TOMLDecodeError:
        as_wanted = False
    if not as_wanted:
        raise SettingsError(
            f"The keys are wrapped by {kind} now, but {path} could not be changed in place.",
            cure=f'Set provider = "{kind}" in its section [keys] by hand.',
        )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written: {error.strerror}.", cure=f'Set provider = "{kind}" in [keys] by hand.'
        ) from error
    read_settings(root)


def _with_provider(text: str, kind: str) -> str:
    section = re.search(r"^\[keys\][^\n]*\n(?P<body>(?:(?!\[).*\n?)*)", text, re.MULTILINE)
    if section is None:
        first = re.search(r"^\[", text, re.MULTILINE)
        at = first.start() if first else len(text)
        return f'{text[:at]}[keys]\nprovider = "{kind}"\n\n{text[at:]}'
    line = re.compile(r"^provider[ \t]*=[^\n]*", re.MULTILINE)
    body = section["body"]
    changed = line.sub(f'provider = "{kind}"', body) if line.search(body) else f'provider = "{kind}"\n{body}'
    return text[: section.start("body")] + changed + text[section.end("body") :]
