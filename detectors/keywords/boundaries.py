"""Do the words around a hit speak against it? Asked only where there is a hit.

A dictionary word that overlaps the hit in part says that its characters belong to something else: 路口|交通 is no
口交. A word that holds the whole hit (迷奸药), or that the hit holds, says nothing.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any, Final

WINDOW: Final = 12
"""Characters on each side that are segmented."""

_lock = threading.Lock()


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    from rjieba import Jieba

    return Jieba()


@lru_cache(maxsize=65_536)
def overlaps_word(window: str, start: int, end: int) -> bool:
    """Return whether a dictionary word of ``window`` overlaps ``window[start:end]`` in part.

    The dictionary is jieba's, without its guesses at unknown words: a guess must not excuse a hit.
    """
    with _lock:
        words = _segmenter().tokenize(window, hmm=False)
    for _word, low, high in words:
        inside = low < end and high > start
        holds = low <= start and high >= end
        held = low >= start and high <= end
        if inside and not holds and not held:
            return True
    return False
