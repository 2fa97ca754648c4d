"""Which subtask Flink gives a key to (its key groups), so that keys can be chosen that spread evenly.

Beam's Flink runner wraps the encoded key in a ``FlinkKey``, whose hash code is the first word of MurmurHash3 (128 bit)
of its bytes; Flink hashes that word once more. Only the balance of the load rests on this: a key that lands elsewhere
is read all the same.
"""

from __future__ import annotations

from typing import Final

import mmh3

_WORD: Final = 0xFFFFFFFF
MOST_KEY_GROUPS: Final = 1 << 15


def subtask_of(key: str, parallelism: int) -> int:
    """The subtask of a text key, which Beam encodes with its length first."""
    data = key.encode()
    code = mmh3.hash64(_varint(len(data)) + data, signed=False)[0] & _WORD
    groups = key_groups(parallelism)
    return _not_negative(mmh3.hash(code.to_bytes(4, "little"))) % groups * parallelism // groups


def key_groups(parallelism: int) -> int:
    """Flink's default number of key groups: 1.5 × the parallelism rounded up to a power of two, at least 128."""
    wished = parallelism + parallelism // 2
    return min(max(1 << (wished - 1).bit_length(), 128), MOST_KEY_GROUPS)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _not_negative(signed: int) -> int:
    """As Flink's ``MathUtils.murmurHash`` makes a hash non-negative."""
    return 0 if signed == -(1 << 31) else abs(signed)
