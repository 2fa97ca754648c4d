"""As much of Thrift's compact protocol as Parquet's page headers and footers take (read, skipped, written)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

I32: Final = 5
I64: Final = 6
BINARY: Final = 8
LIST: Final = 9
STRUCT: Final = 12
_DOUBLE: Final = 7
_BYTE: Final = 3
_SET: Final = 10
_DEEPEST: Final = 16


def varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """An unsigned number and where the next value begins."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def signed(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """A number in zigzag form and where the next value begins."""
    value, at = varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def field(data: memoryview | bytes, at: int, before: int) -> tuple[int, int, int]:
    """Number and kind of a struct's next field after number ``before``, and where its value begins; kind 0 ends it."""
    head = data[at]
    at += 1
    kind = head & 0x0F
    if kind == 0:
        return 0, 0, at
    if head >> 4:
        return before + (head >> 4), kind, at
    number, at = signed(data, at)
    return number, kind, at


def items(data: memoryview | bytes, at: int) -> tuple[int, int, int]:
    """Length and kind of a list's items, and where the first begins."""
    head = data[at]
    count, at = (head >> 4, at + 1) if head >> 4 != 15 else varint(data, at + 1)
    return count, head & 0x0F, at


def skip(data: memoryview | bytes, at: int, kind: int, depth: int = 0) -> int:
    """Where the value that begins at ``at`` ends."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if kind in (1, 2):
        return at
    if kind == _BYTE:
        return at + 1
    if kind in (4, I32, I64):
        return varint(data, at)[1]
    if kind == _DOUBLE:
        return at + 8
    if kind == BINARY:
        length, at = varint(data, at)
        return at + length
    if kind in (LIST, _SET):
        count, inner, at = items(data, at)
        for _ in range(count):
            at = skip(data, at, inner, depth + 1)
        return at
    if kind == STRUCT:
        number = 0
        while True:
            number, inner, at = field(data, at, number)
            if not inner:
                return at
            at = skip(data, at, inner, depth + 1)
    raise ValueError(f"it holds a value of kind {kind}")


def to_varint(value: int) -> bytes:
    """An unsigned number."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(value: int) -> bytes:
    """A non-negative number in zigzag form."""
    return to_varint(value << 1)


def binary(value: bytes) -> bytes:
    """A string of bytes."""
    return to_varint(len(value)) + value


def listed(kind: int, values: Iterable[bytes]) -> bytes:
    """A list of encoded items."""
    found = list(values)
    head = bytes([len(found) << 4 | kind]) if len(found) < 15 else bytes([0xF0 | kind]) + to_varint(len(found))
    return head + b"".join(found)


def struct(*fields: tuple[int, int, bytes], before: int = 0) -> bytes:
    """A struct of fields (number, kind, encoded value) in rising order, at most 15 apart, behind field ``before``."""
    out = bytearray()
    for ordinal, kind, value in fields:
        out.append(ordinal - before << 4 | kind)
        out += value
        before = ordinal
    return bytes(out) + b"\x00"
