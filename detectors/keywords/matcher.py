"""Multi-pattern scanners behind one interface: many words, one buffer, all overlapping hits.

Measured over 111,000 texts with 60,000 words on one core: Hyperscan 311 MB/s, daachorse by character 120 MB/s, by
byte 71 MB/s; building takes Hyperscan 0.04 s for 3,000 words but 2.3 s for 60,000, daachorse 0.1 s. So Hyperscan
scans up to ``HYPERSCAN_WORDS`` words, and daachorse the larger sets and where Hyperscan's library does not load.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator
from typing import Final, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from daachorse import CharwiseDoubleArrayAhoCorasick

Longs = npt.NDArray[np.int64]

HYPERSCAN_WORDS: Final = 20_000
PIECE: Final = 1 << 22
"""Scanned at once, so that the hits of a hostile buffer are held piece by piece."""
_BITS: Final = 32


class Matcher(Protocol):
    """Finds every occurrence of its words, overlapping ones included."""

    @property
    def name(self) -> str:
        """The library that scans."""
        ...

    @property
    def unit(self) -> Literal["byte", "char"]:
        """What the offsets count: bytes of UTF-8, or characters."""
        ...

    def find(self, text: bytes) -> tuple[Longs, Longs, Longs]:
        """Return (word numbers, starts, ends) of all hits in UTF-8 ``text``, ends exclusive."""
        ...


class HyperscanMatcher:
    """Intel Hyperscan in block mode with pure literals; one scratch a thread."""

    name: Final = "hyperscan"
    unit: Final = "byte"

    def __init__(self, words: list[str]) -> None:
        import hyperscan

        self._hyperscan = hyperscan
        encoded = [word.encode() for word in words]
        self._sizes = np.array([len(word) for word in encoded], np.int64)
        self._longest = int(self._sizes.max(initial=0))
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        if encoded:
            self._database.compile(encoded, ids=list(range(len(encoded))), flags=0, literal=True)
        self._scratch = threading.local()

    def find(self, text: bytes) -> tuple[Longs, Longs, Longs]:
        if not len(self._sizes) or not text:
            return _NONE
        scratch = getattr(self._scratch, "own", None)
        if scratch is None:
            scratch = self._scratch.own = self._hyperscan.Scratch(self._database)
        found = array("q")
        add = found.append
        parts = []
        for low, piece in _pieces(text, self._longest):
            del found[:]
            self._database.scan(
                piece,
                match_event_handler=lambda number, _start, end, _flags, _ctx: add(number << _BITS | end),
                scratch=scratch,
            )
            packed = np.array(found, np.int64)
            ends = packed & ((1 << _BITS) - 1)
            new = ends > (self._longest if low else 0)
            parts.append((packed[new] >> _BITS, ends[new] + low))
        numbers = np.concatenate([p[0] for p in parts])
        ends = np.concatenate([p[1] for p in parts])
        return numbers, ends - self._sizes[numbers], ends


class DaachorseMatcher:
    """Double-array Aho–Corasick over characters (crate daachorse)."""

    name: Final = "daachorse"
    unit: Final = "char"

    def __init__(self, words: list[str]) -> None:
        self._longest = max((len(word) for word in words), default=0)
        self._automaton = CharwiseDoubleArrayAhoCorasick(words) if words else None

    def find(self, text: bytes) -> tuple[Longs, Longs, Longs]:
        if self._automaton is None or not text:
            return _NONE
        chars = text.decode()
        parts = []
        for low, piece in _pieces(chars, self._longest):
            found = np.array(self._automaton.find_overlapping(piece), np.int64).reshape(-1, 3)
            if low:
                found = found[found[:, 1] > self._longest] + np.array([low, low, 0])
            parts.append(found)
        hits = np.concatenate(parts)
        return hits[:, 2], hits[:, 0], hits[:, 1]


def matcher_for(words: list[str]) -> Matcher:
    """Return the faster scanner that is ready within a second for ``words`` (distinct, none empty)."""
    if len(words) <= HYPERSCAN_WORDS:
        try:
            return HyperscanMatcher(words)
        except ImportError:
            return DaachorseMatcher(words)
    return DaachorseMatcher(words)


_Text = TypeVar("_Text", bytes, str)


def _pieces(text: _Text, overlap: int) -> Iterator[tuple[int, _Text]]:
    """Yield (offset, piece); each but the first begins ``overlap`` before the end of the one before."""
    low = 0
    while True:
        yield low, text[low : low + PIECE]
        if low + PIECE >= len(text):
            return
        low += PIECE - overlap


_NONE: Final = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
