"""Which subtask Flink gives a key to (its key groups), so that keys can be chosen that spread evenly.

Only the balance of the load rests on this; a key that lands elsewhere is read all the same.
"""

from __future__ import annotations

from typing import Final

_MASK: Final = 0xFFFFFFFF
MOST_KEY_GROUPS: Final = 1 << 15


def subtask_of(key: str, parallelism: int) -> int:
    """The subtask of a text key: Beam hands Flink the encoded key, length first, as a byte buffer."""
    data = key.encode()
    groups = key_groups(parallelism)
    group = _murmur(_buffer_hash(_varint(len(data)) + data)) % groups
    return group * parallelism // groups


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


def _buffer_hash(data: bytes) -> int:
    """``java.nio.ByteBuffer.hashCode``: from the last byte to the first, bytes signed."""
    found = 1
    for byte in reversed(data):
        found = (31 * found + (byte - 256 if byte > 127 else byte)) & _MASK
    return found


def _murmur(code: int) -> int:
    """MurmurHash3 (32 bit, seed 0) of one word, made non-negative as Flink does."""
    code = code * 0xCC9E2D51 & _MASK
    code = (code << 15 | code >> 17) & _MASK
    code = code * 0x1B873593 & _MASK
    code = (code << 13 | code >> 19) & _MASK
    code = (code * 5 + 0xE6546B64) & _MASK
    code ^= 4
    code ^= code >> 16
    code = code * 0x85EBCA6B & _MASK
    code ^= code >> 13
    code = code * 0xC2B2AE35 & _MASK
    code ^= code >> 16
    signed = code - (1 << 32) if code >> 31 else code
    if signed >= 0:
        return signed
    return -signed if signed != -(1 << 31) else 0
