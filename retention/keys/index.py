"""Index keys: for keyed hashes (blind look-ups) that every writer of a store must compute alike.

Collectors that hold only a public key cannot unwrap a key that another process made, so what
they must share lies in a small file of its own. Whoever has it can test guesses against the
hashes; it opens no record.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from retention.crypto.suites import suite
from retention.errors import KeyRingDamagedError
from retention.keys.files import read_small, write_private

FORMAT: Final = "liucun-index-keys"
_BYTES: Final = 32
_LIMIT: Final = 1 << 16


class IndexKeys:
    """A secret from which a key a class is derived, and ``kept`` ones from before there was a secret."""

    def __init__(self, secret: bytes, kept: Mapping[str, bytes]) -> None:
        self._secret = secret
        self._kept = dict(kept)

    def __repr__(self) -> str:
        return "<IndexKeys>"

    @classmethod
    def create(cls, path: Path, kept: Mapping[str, bytes] | None = None) -> IndexKeys:
        """Make the file; it must not exist.

        Raises:
            UsageError: it exists.
            StorageError: the disk refused.
        """
        made = cls(secrets.token_bytes(_BYTES), kept or {})
        body = {
            "format": FORMAT,
            "version": 1,
            "secret": base64.b64encode(made._secret).decode(),
            "kept": {name: base64.b64encode(key).decode() for name, key in made._kept.items()},
        }
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, json.dumps(body, indent=2).encode() + b"\n", create=True)
        return made

    @classmethod
    def read(cls, path: Path) -> IndexKeys | None:
        """The file's keys, None where there is no file.

        Raises:
            KeyRingDamagedError: it is no file of index keys.
        """
        data = read_small(path, _LIMIT)
        if data is None:
            return None
        try:
            return _read(cls, json.loads(data))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise KeyRingDamagedError(
                f"The index keys {path} are damaged: {error}.", cure="Put the file back from its escrow copy."
            ) from error

    def key(self, record_class: str) -> bytes:
        """The key of 32 bytes of a class."""
        found = self._kept.get(record_class)
        return found or suite().hkdf_expand(self._secret, b"liucun/index/v1\x00" + record_class.encode("ascii"), _BYTES)


def _read(kind: type[IndexKeys], body: Any) -> IndexKeys:
    if set(body) != {"format", "version", "secret", "kept"} or (body["format"], body["version"]) != (FORMAT, 1):
        raise ValueError("it is no file of index keys")
    return kind(_key(body["secret"]), {name: _key(value) for name, value in body["kept"].items()})


def _key(value: Any) -> bytes:
    raw = base64.b64decode(value, validate=True)
    if len(raw) != _BYTES:
        raise ValueError("a key has another length")
    return raw
