"""Which characters the fonts of this machine can show, from their ``cmap`` tables (OpenType 1.9, formats 4 and 12).

A PDF/A file may hold no character without a shape; what nobody can show is written as its code, and the page says so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Set
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
_MOST: Final = 64 << 20
"""Bytes of a font's ``cmap`` that are read."""
_NONE: Final = np.empty((0, 2), dtype=np.int64)


def missing(characters: Set[str], fonts: Iterable[tuple[str, int]]) -> frozenset[str]:
    """Those of some characters that no font shows. ``fonts``: (path, index in a collection), the likeliest first."""
    wanted = np.array(sorted(ord(char) for char in characters if char not in "\n\t"), dtype=np.int64)
    for path, index in fonts:
        if not len(wanted):
            break
        runs = covered(path, index)
        if not len(runs):
            continue
        at = np.searchsorted(runs[:, 0], wanted, side="right") - 1
        wanted = wanted[(at < 0) | (wanted > runs[at, 1])]
    return frozenset(map(chr, wanted.tolist()))


@lru_cache(maxsize=512)
def covered(path: str, index: int) -> Codes:
    """The code points that a font has shapes for, as runs (first, last) in order; none if it cannot be read.

    Shape: (runs, 2), sorted by the first and with rising ends.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(12)
            if head[:4] == b"ttcf":
                file.seek(12 + 4 * index)
                file.seek(struct.unpack(">I", file.read(4))[0])
                head = file.read(12)
            tables = struct.unpack(">H", head[4:6])[0]
            listed = file.read(16 * tables)
            for n in range(tables):
                tag, _sum, offset, length = struct.unpack_from(">4sIII", listed, 16 * n)
                if tag == b"cmap":
                    file.seek(offset)
                    return _cmap(file.read(min(length, _MOST)))
    except (OSError, struct.error, ValueError, IndexError):
        pass
    return _NONE


def _cmap(data: bytes) -> Codes:
    """The runs of the fullest subtable: format 12 has all that format 4 has."""
    kinds: dict[int, int] = {}
    for n in range(struct.unpack_from(">H", data, 2)[0]):
        platform, _encoding, offset = struct.unpack_from(">HHI", data, 4 + 8 * n)
        if platform in (0, 3):
            kinds[struct.unpack_from(">H", data, offset)[0]] = offset
    found = _groups(data, kinds[12]) if 12 in kinds else _segments(data, kinds[4]) if 4 in kinds else _NONE
    found = found[found[:, 0] <= found[:, 1]]
    found = found[np.argsort(found[:, 0], kind="stable")]
    return np.column_stack((found[:, 0], np.maximum.accumulate(found[:, 1]))) if len(found) else _NONE


def _groups(data: bytes, offset: int) -> Codes:
    """Format 12: runs of code points."""
    count = struct.unpack_from(">I", data, offset + 12)[0]
    return np.frombuffer(data, ">u4", 3 * count, offset + 16).reshape(-1, 3)[:, :2].astype(np.int64)


def _segments(data: bytes, offset: int) -> Codes:
    """Format 4: segments of the first plane, each by a difference or by a list of shapes."""
    count = struct.unpack_from(">H", data, offset + 6)[0] // 2
    at = offset + 14
    ends = np.frombuffer(data, ">u2", count, at).tolist()
    starts = np.frombuffer(data, ">u2", count, at + 2 * count + 2).tolist()
    deltas = np.frombuffer(data, ">u2", count, at + 4 * count + 2).tolist()
    jumps = np.frombuffer(data, ">u2", count, at + 6 * count + 2).tolist()
    parts = [_NONE]
    for n, (start, end, delta, jump) in enumerate(zip(starts, ends, deltas, jumps, strict=True)):
        if start > end or start == 0xFFFF:
            continue
        codes = np.arange(start, end + 1, dtype=np.int64)
        if jump == 0:
            shapes = (codes + delta) & 0xFFFF
        else:
            shapes = np.frombuffer(data, ">u2", len(codes), at + 6 * count + 2 + 2 * n + jump).astype(np.int64)
        shown = codes[shapes != 0]
        parts.append(np.column_stack((shown, shown)))
    return np.concatenate(parts)
