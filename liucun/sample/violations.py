"""Planted violations: texts of each category, plain and in each disguise, as a pool that streams draw from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

import pyarrow as pa

from detectors.corpus.disguises import symbols, traditional, width
from liucun.sample.draws import Draws
from liucun.sample.texts import fill, lines_of

ZERO_WIDTH: Final = "\u200b\u200c\u200d\ufeff"
PER_TEMPLATE: Final = 4


def zero_width(text: str, rng: Random) -> str:
    """Put characters that show nothing between some of the others."""
    return "".join(char + (rng.choice(ZERO_WIDTH) if rng.random() < 0.5 else "") for char in text)


def plain(text: str, _rng: Random) -> str:
    """Leave the text as it is."""
    return text


DISGUISES: Final[dict[str, Callable[[str, Random], str]]] = {
    "none": plain,
    "width": width,
    "traditional": traditional,
    "zero_width": zero_width,
    "symbols": symbols,
}
"""Half of what is planted is not disguised, the rest in equal parts (``_TURNS``)."""

_TURNS: Final = ("none", "width", "none", "traditional", "none", "zero_width", "none", "symbols")


@dataclass(frozen=True, slots=True)
class Pool:
    """Planted texts; those next to each other differ in category, so that few hold all of them."""

    texts: pa.StringArray
    categories: pa.StringArray
    disguises: pa.StringArray


@cache
def pool(seed: int) -> Pool:
    """The pool of a seed: every template in every disguise, several times with other words."""
    by_category: dict[str, list[str]] = {}
    for line in lines_of("violations"):
        category, _, template = line.partition(":")
        draws = Draws(seed, f"violation {line}")
        by_category.setdefault(category, []).extend(
            fill(template.strip(), draws, PER_TEMPLATE * len(_TURNS)).to_pylist()
        )
    # One of each category in turn; within a category the templates alternate.
    rows: list[tuple[str, str, str]] = []
    turns = max(len(texts) for texts in by_category.values())
    stride = PER_TEMPLATE * len(_TURNS)
    for turn in range(turns):
        for number, (category, texts) in enumerate(by_category.items()):
            templates = len(texts) // stride
            text = texts[(turn % templates) * stride + turn // templates % stride]
            name = _TURNS[(turn + number) % len(_TURNS)]
            rows.append((DISGUISES[name](text, Random(f"{seed}:{category}:{turn}")), category, name))
    return Pool(*(pa.array(list(column)) for column in zip(*rows, strict=True)))
