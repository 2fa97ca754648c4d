"""The normaliser's steps, each a switch of its own."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class Steps:
    """Which steps of folding are taken; all of them by default. Any combination works together.

    ``width``: compatibility forms (Unicode NFKC, one code point at a time) and enclosed letters that NFKC leaves.
    ``case``: lower case. ``traditional``: traditional characters and variants to simplified ones.
    ``invisible``: zero-width characters, variation selectors, combining marks and controls are dropped.
    ``confusable``: letters, digits and characters that are drawn like others; diacritics.
    ``symbols``: punctuation, spaces, symbols, emoji, and strokes used as such, are dropped.
    ``repeats``: a run of one character counts as one (digits excepted); how long it was is kept.
    ``emoji``: emoji and signs that stand for a word are read as that word, in a second reading.
    ``split``: characters written in two parts (拆字) are joined.
    """

    width: bool = True
    case: bool = True
    traditional: bool = True
    invisible: bool = True
    confusable: bool = True
    symbols: bool = True
    repeats: bool = True
    emoji: bool = True
    split: bool = True

    @classmethod
    def none(cls) -> Self:
        """No step at all: code points as they are."""
        return cls(**dict.fromkeys(cls.names(), False))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The steps' names in the order in which they are taken."""
        return tuple(field.name for field in fields(cls))


ALL_STEPS: Final = Steps()
