"""A second reader of row proofs, from section 5a of docs/archive-format.md alone. It must not import the product."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.independent_reader.reader import Suite, require


def spelled(value: Any, kind: str) -> bytes:
    """The bytes of a value; ``kind`` is ``text`` (numbers and times in microseconds, too) or as written below."""
    if kind == "binary":
        return bytes(value)
    if kind == "map":
        pairs = [[key, text] for key, text in value]
        return json.dumps(pairs, separators=(",", ":"), ensure_ascii=False).encode()
    if kind == "decimal":
        return f"{value:.6f}".encode()
    return str(value).encode()


def field_hash(suite: Suite, row_key: bytes, row: int, name: str, value: bytes) -> bytes:
    return suite.hash(suite.mac(row_key, row.to_bytes(8) + name.encode()) + value)


def leaf(suite: Suite, hashes: Mapping[str, bytes]) -> bytes:
    """Section 5.4."""
    entry = {name: digest.hex() for name, digest in hashes.items()}
    return suite.hash(b"\x00" + json.dumps(entry, sort_keys=True, separators=(",", ":")).encode())


def root(suite: Suite, leaves: Sequence[bytes]) -> bytes:
    """Section 9."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return suite.hash(b"\x01" + root(suite, leaves[:split]) + root(suite, leaves[split:]))


def check_proof(
    suite: Suite,
    row: int,
    rows: int,
    shown: Mapping[str, tuple[bytes, bytes]],
    hidden: Mapping[str, bytes],
    path: Sequence[bytes],
    expected: bytes,
) -> None:
    """Section 5.5: ``shown`` has value and salt of each field, ``path`` the siblings from the leaf upwards."""
    require(0 <= row < rows and not shown.keys() & hidden.keys(), "5.5")
    node = leaf(suite, {**{name: suite.hash(salt + value) for name, (value, salt) in shown.items()}, **hidden})
    at, last, left = row, rows - 1, list(path)
    while last:
        if at % 2 or at < last:
            require(bool(left), "5.5")
            beside = left.pop(0)
            node = suite.hash(b"\x01" + (beside + node if at % 2 else node + beside))
        at, last = at // 2, last // 2
    require(not left and node == expected, "5.5")
