"""Decides whether a file is the one that a partition was read from: by digests of what was planned, never by its name.

Every planned range has the SHA-256 of its bytes. A file is the same when its first,
its last and evenly spread ranges between still have theirs, up to a budget of bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from pipelines.sources.reading import Reader, UnreadableError
from retention.catalogue.progress import PlannedRange

BUDGET: Final = 64 << 20
"""Bytes read to recognise one file."""
SMALL: Final = 1 << 10
"""A beginning shorter than this says too little to recognise a renamed file by it alone."""
_STEP: Final = 1 << 20


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def matches(reader: Reader, ranges: Sequence[PlannedRange], budget: int = BUDGET) -> bool:
    """Whether the file still begins with what was planned from it; trivially so when nothing was."""
    try:
        return all(_holds(reader, item) for item in sample(ranges, budget))
    except UnreadableError:
        return False


def sample(ranges: Sequence[PlannedRange], budget: int = BUDGET) -> list[PlannedRange]:
    """First, last and evenly spread ranges within the budget (never fewer than the first and the last), in order."""
    if len(ranges) <= 2:
        return list(ranges)
    average = max(sum(item.end - item.start for item in ranges) // len(ranges), 1)
    count = min(max(budget // average, 2), len(ranges))
    step = (len(ranges) - 1) / (count - 1)
    return [ranges[index] for index in sorted({round(step * n) for n in range(count)})]


def prefix_digests(reader: Reader, lengths: Iterable[int], step: int = _STEP) -> dict[int, str]:
    """SHA-256 of the file's first ``n`` bytes for every ``n`` that it is long enough for, in one pass."""
    found: dict[int, str] = {}
    running, position = hashlib.sha256(), 0
    for length in sorted(set(lengths)):
        while position < length:
            part = reader.read(position, min(step, length - position))
            if not part:
                return found
            running.update(part)
            position += len(part)
        found[length] = running.copy().hexdigest()
    return found


def holds_rest(before: Reader, after: Reader, start: int) -> bool:
    """Whether a file holds all that another one has from an offset on, in the same place.

    Raises:
        UnreadableError: one of them cannot be read.
    """
    while part := before.read(start, _STEP):
        if after.read(start, len(part)) != part:
            return False
        start += len(part)
    return True


def _holds(reader: Reader, item: PlannedRange) -> bool:
    data = reader.read(item.start, item.end - item.start)
    return len(data) == item.end - item.start and digest(data) == item.digest
