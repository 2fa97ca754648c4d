"""A second reader of row commitments, from docs/archive-format.md (5b) alone. It must not import the product."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from tests.independent_reader.reader import Suite, require

PLACE = ("log_source", "log_partition", "log_offset")


def salts(value: bytes) -> dict[str, bytes]:
    """5.11: the salts in the footer's value."""
    body = json.loads(value)
    require(body["version"] == 1, "5.11")
    found = {name: b64decode(salt, validate=True) for name, salt in body["salts"].items()}
    require(all(len(salt) == 32 for salt in found.values()), "5.11")
    return found


def rows_digest(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> bytes:
    """The digest of rows: times in microseconds, decimals in their smallest unit, maps as lists of pairs."""
    ordered = sorted(rows, key=lambda row: (row[PLACE[0]].encode(), row[PLACE[1]].encode(), row[PLACE[2]]))
    out = [b"liucun/rows/v1\x00", len(rows).to_bytes(8)]
    for name in sorted(kinds):
        values = [row[name] for row in ordered]
        if any(value is not None for value in values):
            out += [bytes([len(name)]), name.encode(), column(kinds[name], values)]
    return hashlib.sha256(b"".join(out)).digest()


def column(kind: str, values: Sequence[Any]) -> bytes:
    """One column's bytes."""
    if kind == "text":
        return b"\x01" + texts(values)
    if kind == "map":
        pairs = [pair for value in values for pair in value or ()]
        return b"\x04" + lengths(values) + texts([key for key, _ in pairs]) + texts([text for _, text in pairs])
    there = b"\x00" if None not in values else b"\x01" + bytes(value is not None for value in values)
    width, mark = (16, b"\x03") if kind == "decimal" else (8, b"\x02")
    return mark + there + b"".join((value or 0).to_bytes(width, "little", signed=True) for value in values)


def texts(values: Sequence[Any]) -> bytes:
    data = [value.encode() if isinstance(value, str) else value for value in values]
    return lengths(data) + b"".join(value or b"" for value in data)


def lengths(values: Sequence[Any]) -> bytes:
    return b"".join((0xFFFFFFFF if value is None else len(value)).to_bytes(4, "little") for value in values)


def commitment(suite: Suite, salt: bytes, digest: bytes) -> str:
    """5.8: what stands in a manifest."""
    return suite.hash(salt + digest).hex()


def own_salt(suite: Suite, row_key: bytes) -> bytes:
    return suite.expand(row_key, b"liucun/rows-digest/v1", 32)
