"""Keyed hashes of a whole column: CMAC with the suite's block cipher, under a key of the segment's period.

CMAC is NIST SP 800-38B, RFC 4493 and GB/T 15852.1 (MAC algorithm 5). A column is hashed by rounds over all its values
at once: one call of the cipher a round, none a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from retention.crypto.suites import Suite
from retention.keys.memory import PeriodKey

BLOCK: Final = 16
LONGEST: Final = 64
"""A value of more bytes is hashed first, so that one long value does not widen all."""

Hashes = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Lengths = npt.NDArray[np.int64]


class BlindKey:
    """Hashes values under keys derived from a period key, one a column; gone with the period key."""

    def __init__(self, suite: Suite, key: PeriodKey) -> None:
        self.key_id = key.key_id
        self._suite = suite
        self._key = key.key

    def __repr__(self) -> str:
        return f"<BlindKey of {self.key_id}>"

    def hashes(self, column: str, values: pa.Array) -> Hashes:
        """The first 8 bytes of each value's CMAC as a number; ``values`` are strings without nulls."""
        if not len(values):
            return np.zeros(0, np.uint64)
        info = b"liucun/postings/v1\x00" + self._suite.aead_name.encode() + b"\x00" + column.encode()
        cipher = self._suite.blocks(self._suite.hkdf_expand(self._key, info, self._suite.key_bytes))
        return cmac(cipher, *padded(self._short(values)))

    def tag(self, head: bytes) -> bytes:
        """HMAC of the head of a section, by which it is known as written by who had the key."""
        return self._suite.hmac(self._suite.hkdf_expand(self._key, b"liucun/lookups/v1", 32), head)

    def _short(self, values: pa.Array) -> pa.Array:
        """The values as bytes, each of at most ``LONGEST``."""
        binary = values.cast(pa.large_binary())
        longest = pc.max(pc.binary_length(binary)).as_py()
        if longest is None or longest <= LONGEST:
            return binary
        given = (item.as_py() for item in binary)
        short = [self._suite.hash(value) if len(value) > LONGEST else value for value in given]
        return pa.array(short, pa.large_binary())


def padded(values: pa.Array) -> tuple[Bytes, Lengths]:
    """Values (large binary, no nulls) as rows of bytes, zero behind their end, and their lengths."""
    lengths = pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
    width = BLOCK * max(1, -(-int(lengths.max(initial=0)) // BLOCK))
    rows = np.zeros((len(lengths), width), np.uint8)
    buffers = values.buffers()
    if buffers[2] is not None and buffers[2].size:
        offsets = np.frombuffer(buffers[1], np.int64, len(lengths) + 1, values.offset * 8)
        content = np.frombuffer(buffers[2], np.uint8)[offsets[0] : offsets[-1]]
        rows[np.arange(width) < lengths[:, None]] = content
    return rows, lengths


def cmac(encrypt: Callable[[bytes], bytes], rows: Bytes, lengths: Lengths) -> Hashes:
    """CMAC of every row's first ``lengths`` bytes, cut to 64 bits, big-endian; ``rows`` are changed."""
    whole, broken = _subkeys(encrypt(bytes(BLOCK)))
    last = np.maximum(lengths - 1, 0) // BLOCK
    full = (lengths > 0) & (lengths % BLOCK == 0)
    every = np.arange(len(rows))
    partial = every[~full]
    rows[partial, lengths[partial]] = 0x80
    blocks = rows.reshape(len(rows), -1, BLOCK)
    blocks[every, last] ^= np.where(full[:, None], whole, broken)
    state = np.zeros((len(rows), BLOCK), np.uint8)
    for number in range(blocks.shape[1]):
        chosen = every if number == 0 else np.flatnonzero(last >= number)
        mixed = state[chosen] ^ blocks[chosen, number]
        state[chosen] = np.frombuffer(encrypt(mixed.tobytes()), np.uint8).reshape(-1, BLOCK)
    return np.ascontiguousarray(state[:, :8]).view(">u8").ravel().astype(np.uint64)


def _subkeys(zero: bytes) -> tuple[Bytes, Bytes]:
    """K1 and K2 of CMAC."""
    first = _doubled(int.from_bytes(zero))
    return (
        np.frombuffer(first.to_bytes(BLOCK), np.uint8),
        np.frombuffer(_doubled(first).to_bytes(BLOCK), np.uint8),
    )


def _doubled(value: int) -> int:
    shifted = (value << 1) & ((1 << 128) - 1)
    return shifted ^ 0x87 if value >> 127 else shifted
