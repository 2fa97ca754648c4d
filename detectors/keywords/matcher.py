"""Multi-pattern scanners behind one interface: many words, one buffer, all overlapping hits.

Measured over 100,000 texts on one core, words 3,000 and 60,000: hashed words 500 and 290 MB/s, Hyperscan 440 and 256,
daachorse by character 108 and 94; and a hit costs Hyperscan a call of Python, daachorse a tuple, hashed words nothing.
Building takes Hyperscan 0.04 and 2.3 s, daachorse 0.1 s for the larger set, hashed words 0.03 s, but they load numba,
half a second. So columns are scanned by hashed words, and single texts by what is ready at once: daachorse, as 4,000
words cost Hyperscan 0.2 s, a fifth of a process's start. Hyperscan is here to be measured against.
"""

from __future__ import annotations

import sys
import threading
from array import array
from collections.abc import Iterator
from typing import Any, Final, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from daachorse import CharwiseDoubleArrayAhoCorasick

from detectors.normalise.tables.fold import FoldTable
from detectors.normalise.view import string_buffers

Longs = npt.NDArray[np.int64]
Rows = tuple[Longs, Longs, npt.NDArray[np.bool_]]

COLUMN: Final = 1 << 20
"""Bytes from which loading numba pays."""
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


class ColumnMatcher:
    """Hashed words for columns; short texts go to a library's scanner until numba is loaded."""

    name: Final = "hashed"
    unit: Final = "char"

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._building = threading.Lock()
        self._hashed: Any = None
        self._library: Matcher | None = None

    def find(self, text: bytes) -> tuple[Longs, Longs, Longs]:
        if not self._words or not text:
            return _NONE
        if len(text) >= COLUMN or "detectors.keywords.hashed" in sys.modules:
            found: tuple[Longs, Longs, Longs] = self.columns().find(text)
            return found
        return self._single().find(text)

    def ready_for(self, texts: pa.StringArray) -> bool:
        """Whether a column is scanned by ``columns``; for a small one ``find`` is ready sooner."""
        _, offsets = string_buffers(texts)
        large = int(offsets[-1]) - int(offsets[0]) >= COLUMN
        return bool(self._words) and (large or "detectors.keywords.hashed" in sys.modules)

    def find_rows(self, texts: pa.StringArray, table: FoldTable, *, repeats: bool) -> Rows | None:
        """Fold and scan a column in one pass: (word numbers, rows), each word once a row, and which rows hold a sign
        with a second reading. None for a small column, for which ``find`` is ready sooner.
        """
        if not self.ready_for(texts):
            return None
        found: Rows = self.columns().find_rows(*string_buffers(texts), table, repeats)
        return found

    def columns(self) -> Any:
        """Return the words as ``HashedWords``; loads numba."""
        with self._building:
            if self._hashed is None:
                from detectors.keywords.hashed import HashedWords

                self._hashed = HashedWords(self._words)
            return self._hashed

    def _single(self) -> Matcher:
        with self._building:
            if self._library is None:
                self._library = DaachorseMatcher(self._words)
            return self._library


def matcher_for(words: list[str]) -> ColumnMatcher:
    """Return the scanner for ``words`` (distinct, none empty)."""
    return ColumnMatcher(words)


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
