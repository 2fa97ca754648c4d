"""Near-identical texts by MinHash of the normalised text, under the store's own key.

The key decides the hash functions, so neither a stored signature nor a stored band says
anything about a text to whoever lacks the key: guesses cannot be tried against them.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tickets.bodies import Bodies

VALUES: Final = 64
BANDS: Final = 8
ROWS: Final = 3
"""Texts that share three quarters of their pairs of characters meet in a band with 99 %."""
SHORTEST: Final = 8
"""Characters; a shorter text says too little to be like another one."""
LONGEST: Final = 20_000
ALIKE: Final = 0.65
"""Share of equal values from which two texts count as near-identical."""
_TOGETHER: Final = 8_192
"""Characters computed at once: bounds the memory of a step at about 12 MB."""

_U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Sketch:
    """A text's signature (64 × 16 bit) and its band values (signed 64 bit, as databases hold them)."""

    signature: bytes
    bands: tuple[int, ...]


class Sketcher:
    """Makes sketches under one store's key."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    @cached_property
    def _functions(self) -> tuple[_U64, _U64]:
        seed = hashlib.shake_256(self._bodies.blind("near-duplicates", "text sketch").encode()).digest(VALUES * 16)
        numbers = np.frombuffer(seed, dtype="<u8").reshape(2, VALUES)
        return numbers[0] | np.uint64(1), numbers[1].copy()

    def sketch(self, text: str) -> Sketch | None:
        """The sketch of a text; None when it is too short to be compared."""
        return self.sketches([text])[0]

    def sketches(self, texts: Sequence[str]) -> list[Sketch | None]:
        """The sketches of texts, computed together; None for each that is too short."""
        points = [_points(text) for text in texts]
        found: list[Sketch | None] = [None] * len(texts)
        part: list[int] = []
        size = 0
        for number, own in enumerate(points):
            if len(own) < SHORTEST:
                continue
            part.append(number)
            size += len(own)
            if size >= _TOGETHER:
                self._fill(found, points, part)
                part, size = [], 0
        if part:
            self._fill(found, points, part)
        return found

    def _fill(self, found: list[Sketch | None], points: Sequence[_U64], part: Sequence[int]) -> None:
        """Sketch some texts: every pair of characters under 64 functions, the least value of each a text."""
        pairs = np.concatenate([(points[number][:-1] << np.uint64(32)) | points[number][1:] for number in part])
        lengths = np.array([len(points[number]) - 1 for number in part])
        begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        factors, added = self._functions
        least = np.minimum.reduceat(_mixed(pairs[:, None] * factors[None, :] + added[None, :]), begins, axis=0)
        chosen = least[:, : BANDS * ROWS].reshape(len(part), BANDS, ROWS)
        folded: _U64 = np.tile(np.arange(1, BANDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15), (len(part), 1))
        for row in range(ROWS):
            folded = _mixed(folded ^ chosen[:, :, row])
        signatures = (least & np.uint64(0xFFFF)).astype("<u2")
        for place, number in enumerate(part):
            found[number] = Sketch(signatures[place].tobytes(), tuple(folded[place].view(np.int64).tolist()))


def _points(text: str) -> _U64:
    return np.frombuffer(normalised(text).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)


def likeness(one: bytes, others: Sequence[bytes]) -> list[float]:
    """Estimated share of common character pairs of a text with others, 0 to 1, from their signatures."""
    if not others:
        return []
    first = np.frombuffer(one, dtype="<u2")
    rest = np.frombuffer(b"".join(others), dtype="<u2").reshape(len(others), VALUES)
    shares: list[float] = (rest == first).mean(axis=1).tolist()
    return shares


def normalised(text: str) -> str:
    """A text as it is compared: compatibility forms folded, case folded, letters and digits only."""
    folded = unicodedata.normalize("NFKC", text[:LONGEST]).casefold()
    return "".join(char for char in folded if char.isalnum())


def _mixed(values: _U64) -> _U64:
    """Spread the bits (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
