"""How urgent content is: severity × reach level; age multiplies when the queue is read."""

from __future__ import annotations

from typing import Final

MAX_SEVERITY: Final = 4
MAX_LEVEL: Final = 8


def reach_level(reach: int) -> int:
    """1 for content that nobody saw, one more for each power of ten of its reach, at most 9."""
    return 1 + min(len(str(reach)) if reach > 0 else 0, MAX_LEVEL)


def weight_of(severity: int, reach: int) -> int:
    """The weight of a ticket; always one of ``WEIGHTS``."""
    return min(max(severity, 1), MAX_SEVERITY) * reach_level(reach)


WEIGHTS: Final = tuple(
    sorted({s * level for s in range(1, MAX_SEVERITY + 1) for level in range(1, MAX_LEVEL + 2)}, reverse=True)
)
"""Every weight there is, largest first: few, so that each is one short read of an index."""
