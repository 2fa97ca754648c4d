"""Near-identical texts by MinHash of the normalised text, under the store's own key.

The key decides the hash functions, so neither a stored signature nor a stored band says
anything about a text to whoever lacks the key: guesses cannot be tried against them.

What a sender changes from copy to copy is folded first: telephone and account numbers,
handles, counters all become one sign, so that one advert under many contacts is one group.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tickets.bodies import Bodies

VERSION: Final = 2
"""Of the sketches; those of another version say nothing about each other."""
VALUES: Final = 128
BANDS: Final = 12
ROWS: Final = 3
"""Texts that share three quarters of their characters and pairs meet in a band with 99.8 %, at 0.65 with 98 %."""
SHORTEST: Final = 8
"""Characters; a shorter text says too little to be like another one."""
LONGEST: Final = 20_000
ALIKE: Final = 0.6
"""Share of equal values from which two texts count as near-identical."""
FOLDED: Final = "0"
"""Stands for every number, and for every handle."""
_FEWEST: Final = 4
"""Different characters that must be left beside what is folded, or the text is compared as it stands."""
_TOGETHER: Final = 16_384
"""Characters and pairs computed at once, under"""
_FUNCTIONS: Final = 16
"""functions at once: bounds the memory of a step at about 12 MB, the longest text included."""
_NUMERALS: Final = re.compile("[0-9〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖两幺]{5,}")
_NUMBER: Final = re.compile(r"[a-z0-9_]*[0-9][a-z0-9_]*")
_HANDLE: Final = re.compile("[a-z]{6,}")
"""WeChat's shortest handle has six signs; in Chinese text so many Latin letters are a handle or a domain."""
_LATIN: Final = re.compile("[a-z]")
_REPEATED: Final = re.compile(f"{FOLDED}{{2,}}")

_U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Sketch:
    """A text's signature (128 × 8 bit) and its band values (signed 64 bit, as databases hold them)."""

    signature: bytes
    bands: tuple[int, ...]


class Sketcher:
    """Makes sketches under one store's key."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    @cached_property
    def _functions(self) -> tuple[_U64, _U64]:
        own = self._bodies.blind(f"near-duplicates {VERSION}", "text sketch").encode()
        seed = hashlib.shake_256(own).digest(VALUES * 16)
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
            if not len(own):
                continue
            part.append(number)
            size += 2 * len(own)
            if size >= _TOGETHER:
                self._fill(found, points, part)
                part, size = [], 0
        if part:
            self._fill(found, points, part)
        return found

    def _fill(self, found: list[Sketch | None], points: Sequence[_U64], part: Sequence[int]) -> None:
        """Sketch some texts: their characters and pairs under 128 functions, the least value of each a text.

        The signs are spread first, so that multiplying is enough to put them in another order for each function.
        """
        chosen = [points[number] for number in part]
        signs = np.concatenate([piece for own in chosen for piece in (own, (own[:-1] << np.uint64(32)) | own[1:])])
        begins = np.cumsum([0] + [2 * len(own) - 1 for own in chosen[:-1]])
        factors, added = self._functions
        spread = _mixed(signs ^ added[0])
        least = np.empty((len(part), VALUES), dtype=np.uint64)
        for begin in range(0, VALUES, _FUNCTIONS):
            some = slice(begin, begin + _FUNCTIONS)
            values = spread[:, None] * factors[None, some]
            values += added[None, some]
            np.minimum.reduceat(values, begins, axis=0, out=least[:, some])
        bands = least[:, : BANDS * ROWS].reshape(len(part), BANDS, ROWS)
        folded: _U64 = np.tile(np.arange(1, BANDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15), (len(part), 1))
        for row in range(ROWS):
            folded = _mixed(folded ^ bands[:, :, row])
        signatures = (_mixed(least) & np.uint64(0xFF)).astype(np.uint8)
        for place, number in enumerate(part):
            found[number] = Sketch(signatures[place].tobytes(), tuple(folded[place].view(np.int64).tolist()))


def likeness(one: bytes, others: Sequence[bytes]) -> list[float]:
    """Estimated share of common characters and pairs of a text with others, 0 to 1, from their signatures."""
    if not others:
        return []
    first = np.frombuffer(one, dtype=np.uint8)
    rest = np.frombuffer(b"".join(others), dtype=np.uint8).reshape(len(others), VALUES)
    shares: list[float] = (rest == first).mean(axis=1).tolist()
    return shares


def normalised(text: str) -> str:
    """A text as it is compared: compatibility forms and case folded, letters and digits only, contacts as one sign.

    Empty where too little is left to be compared.
    """
    flat = unicodedata.normalize("NFKC", text[:LONGEST]).casefold()
    bare = _bare(flat)
    if len(bare) < SHORTEST:
        return ""
    latin = len(_LATIN.findall(bare))
    chinese = 3 * latin <= 2 * len(bare)
    # Signs strewn into a number must not hide it; words of Latin letters would become one without their spaces.
    folded = _NUMBER.sub(FOLDED, _NUMERALS.sub(FOLDED, bare if chinese else flat))
    if chinese:
        folded = _HANDLE.sub(FOLDED, folded)
    folded = _REPEATED.sub(FOLDED, _bare(folded))
    return folded if len(set(folded) - {FOLDED}) >= _FEWEST else bare


def _bare(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _points(text: str) -> _U64:
    return np.frombuffer(normalised(text).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)


def _mixed(values: _U64) -> _U64:
    """Spread the bits (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
