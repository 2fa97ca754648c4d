"""The outer form of every wrapped key: which kind of provider and which of its keys can unwrap it.

``0x01 || len || kind || len || key id || sealed``, the lengths one byte each. The kind and
key id are hints for finding the key; what protects the rest is the provider's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from retention.errors import KeyRefusedError
from retention.keys.provider import WRAPPED_LIMIT

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapped key taken apart."""

    kind: str
    key_id: str
    sealed: bytes

    def to_bytes(self) -> bytes:
        """The form that is stored."""
        kind, key_id = self.kind.encode("ascii"), self.key_id.encode("ascii")
        return bytes([_VERSION, len(kind)]) + kind + bytes([len(key_id)]) + key_id + self.sealed

    @classmethod
    def from_bytes(cls, blob: bytes, *, kind: str) -> Wrapped:
        """Take a wrapped key apart.

        Raises:
            KeyRefusedError: it is malformed, or another kind of provider wrapped it.
        """
        found = cls._parse(blob)
        if found is None:
            raise KeyRefusedError(
                "A wrapped key is malformed.", cure="Restore the store of period keys from its newest backup."
            )
        if found.kind != kind:
            raise KeyRefusedError(
                f"A key was wrapped by a provider of kind {found.kind!r}, not {kind!r}.",
                cure="Set [keys] provider to the kind that wrapped it, or rewrap the keys first.",
            )
        return found

    @classmethod
    def _parse(cls, blob: bytes) -> Wrapped | None:
        if not 4 <= len(blob) <= WRAPPED_LIMIT or blob[0] != _VERSION:
            return None
        first = 2 + blob[1]
        if first >= len(blob):
            return None
        second = first + 1 + blob[first]
        if second > len(blob):
            return None
        try:
            return cls(blob[2:first].decode("ascii"), blob[first + 1 : second].decode("ascii"), blob[second:])
        except UnicodeDecodeError:
            return None


def kind_of(blob: bytes) -> str:
    """Which kind of provider wrapped a key; empty where the blob is malformed."""
    found = Wrapped._parse(blob)
    return found.kind if found else ""
