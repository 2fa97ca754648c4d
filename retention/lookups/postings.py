"""Postings of one column: keyed hashes to the blocks of rows that hold them, about 2.3 bytes an entry.

A hash falls into one of 2^bits buckets by its first bits, and leaves its next 8 bits there as a remainder. Buckets lie
in groups of 1,024: a bitmap (a 1 for each entry of a bucket, then a 0), the remainders, the numbers of the blocks. A
look-up reads the place of a group and the group. One entry in 256 of those looked for in vain is found all the same:
the rows themselves decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from retention.lookups.blind import Hashes

GROUP: Final = 1024
"""Buckets of a group."""
_REMAINDER: Final = 8
_KEPT: Final = 48
"""Bits of a hash that take part; 16 more number the block while pairs are sorted."""
MOST_BLOCKS: Final = 1 << 16

Read = Callable[[int, int], memoryview]
"""Reads ``length`` bytes from a place in the section."""
Blocks = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a column's postings lie in the section, and their shape.

    ``directory`` holds a pair (first byte of the group's record, first entry) of u32 a group, and a last pair behind.
    """

    entries: int
    bits: int
    wide: bool
    directory: int
    groups: int


def build(hashes: Hashes, blocks: Blocks, at: int) -> tuple[bytes, Posted]:
    """The postings of pairs (hash, block), to be placed at ``at``; a pair counts once."""
    wide = bool(len(blocks)) and int(blocks.max()) > 0xFF
    pairs = distinct((hashes >> np.uint64(16)) << np.uint64(16) | blocks.astype(np.uint64))
    block = (pairs & np.uint64(0xFFFF)).astype(np.uint16 if wide else np.uint8)
    hashed = pairs >> np.uint64(16)
    bits = math.ceil(math.log2(len(pairs))) if len(pairs) else 0
    remainder = (hashed >> np.uint64(_KEPT - bits - _REMAINDER) & np.uint64(0xFF)).astype(np.uint8)
    bucket = (hashed >> np.uint64(_KEPT - bits)).astype(np.int64)
    count = 1 << bits
    starts = np.arange(0, count, GROUP)
    firsts = np.append(np.searchsorted(bucket, starts), len(bucket))
    records, places, size = [], [], 0
    for number, start in enumerate(starts):
        begin, end = int(firsts[number]), int(firsts[number + 1])
        held = min(GROUP, count - int(start))
        bitmap = np.zeros(end - begin + held, np.uint8)
        # The entries before it, and the ends of the buckets before its own.
        bitmap[np.arange(end - begin) + bucket[begin:end] - start] = 1
        record = np.packbits(bitmap).tobytes() + remainder[begin:end].tobytes() + block[begin:end].tobytes()
        places.append((size, begin))
        records.append(record)
        size += len(record)
    places.append((size, len(bucket)))
    directory = np.array(places, "<u4").tobytes()
    posted = Posted(len(bucket), bits, wide, at, at + len(directory))
    return directory + b"".join(records), posted


def find(read: Read, posted: Posted, value: int) -> Blocks:
    """The blocks that may hold the value of this hash, in order."""
    bucket = value >> (64 - posted.bits)
    remainder = value >> (64 - posted.bits - _REMAINDER) & 0xFF
    group, within = divmod(bucket, GROUP)
    pairs = np.frombuffer(read(posted.directory + 8 * group, 16), "<u4")
    if len(pairs) != 4:
        raise ValueError("its directory is too short")
    start, first, end, behind = (int(number) for number in pairs)
    count = behind - first
    held = min(GROUP, (1 << posted.bits) - group * GROUP)
    length = -(-(count + held) // 8)
    width = 2 if posted.wide else 1
    if count < 0 or end - start != length + count * (1 + width):
        raise ValueError("a group of it has a wrong length")
    record = np.frombuffer(read(posted.groups + start, end - start), np.uint8)
    if len(record) != end - start:
        raise ValueError("a group of it is cut")
    ends = np.flatnonzero(np.unpackbits(record[:length])[: count + held] == 0)
    if len(ends) != held:
        raise ValueError("a group of it has a wrong bitmap")
    low = int(ends[within - 1]) - (within - 1) if within else 0
    high = int(ends[within]) - within
    same = record[length + low : length + high] == remainder
    blocks = record[length + count :].view("<u2" if posted.wide else np.uint8)[low:high]
    found: Blocks = np.unique(blocks[same]).astype(np.int64)
    return found


def distinct(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The numbers in order, each once (NumPy's own way through a hash table is slower here)."""
    found = np.sort(numbers)
    return found[np.append(True, found[1:] != found[:-1])] if len(found) else found
