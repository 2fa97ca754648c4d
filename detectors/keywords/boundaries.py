"""Do the words around a hit speak against it? Asked only where there is a hit.

A dictionary word that overlaps the hit in part says that its characters belong to something else: 路口|交通 is no
口交. A word that holds the whole hit (迷奸药), or that the hit holds, says nothing.

Text is cut as jieba cuts it without its guesses at unknown words (a guess must not excuse a hit): the likeliest way,
the product of the words' shares being largest. All hits of a rule are cut at once, as one text with signs between.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.keywords.dictionary import Dictionary, dictionary

WINDOW: Final = 12
"""Characters on each side that are segmented."""
KEPT: Final = 65_536
"""Answers kept."""

Window = tuple[str, int, int]
"""A text and the place of the hit in it, end exclusive."""

_known: dict[Window, bool] = {}
_lock = threading.Lock()


def overlap_words(windows: Sequence[Window]) -> list[bool]:
    """Return for each hit whether a dictionary word of its window overlaps it in part.

    Raises:
        DictionaryError: the dictionary cannot be read.
    """
    with _lock:
        new = [window for window in dict.fromkeys(windows) if window not in _known]
        if new:
            if len(_known) + len(new) > KEPT:
                _known.clear()
                new = list(dict.fromkeys(windows))
            _known.update(zip(new, _judged(new), strict=True))
        return [_known[window] for window in windows]


def _judged(windows: list[Window]) -> list[bool]:
    text = "\0".join(text for text, _, _ in windows)
    sizes = np.array([len(window) + 1 for window, _, _ in windows], np.int64)
    begin = np.cumsum(sizes) - sizes
    first, last = (begin + np.array([window[k] for window in windows], np.int64) for k in (1, 2))
    if "detectors.keywords.hashed" in sys.modules:
        from detectors.keywords.cutting import overlapped

        return overlapped(_points(text), dictionary(), first, last)
    words = cut(text)
    heads = np.array([low for low, _ in words], np.int64)
    low, high = np.searchsorted(heads, first, side="right") - 1, np.searchsorted(heads, last, side="left")
    places = zip(first.tolist(), last.tolist(), low.tolist(), high.tolist(), strict=True)
    return [any(_in_part(word, a, b) for word in words[max(c, 0) : d]) for a, b, c, d in places]


def _in_part(word: tuple[int, int], first: int, last: int) -> bool:
    low, high = word
    inside = low < last and high > first
    holds = low <= first and high >= last
    held = low >= first and high <= last
    return inside and not holds and not held


def cut(text: str) -> list[tuple[int, int]]:
    """Cut a text into words, as places [start, end); a run of Latin letters and digits that is no word is one."""
    points, known = _points(text), dictionary()
    if "detectors.keywords.hashed" in sys.modules:
        from detectors.keywords import cutting

        return list(pairwise(cutting.borders(points, known).tolist()))
    after = _likeliest(points, known)
    borders = [0]
    run = False
    while borders[-1] < len(text):
        at = borders[-1]
        single = after[at] == at + 1 and text[at].isascii() and text[at].isalnum()
        if run and single:
            borders[-1] = at + 1
        else:
            borders.append(after[at])
        run = single
    return list(pairwise(borders))


def _points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _likeliest(points: npt.NDArray[np.uint32], known: Dictionary) -> list[int]:
    """Return for each place where the word ends that begins there in the likeliest way to cut what follows.

    Counting begins anew at U+0000, so that a text is cut alike whatever stands behind it.
    """
    begun = known.words_in(points)
    best = [0.0] * (len(points) + 1)
    after = list(range(1, len(points) + 1))
    for at in range(len(points) - 1, -1, -1):
        if points[at] == 0:
            continue
        top = known.unknown + best[at + 1]
        for end, share in begun[at]:
            value = share + best[end]
            # Of equals the longer one, as jieba has it.
            if value >= top or end == at + 1:
                top = value
                after[at] = end
        best[at] = top
    return after
