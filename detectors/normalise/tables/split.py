"""Split characters (拆字): two characters that side by side spell a third.

A pair with a bare radical never stands in ordinary text, so it is joined in the text.
A pair of ordinary characters (女马, 木仓) is a word or two as it stands; it is not joined in
the text, but words of the packs are also looked for in the split spelling.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

BARE_RADICALS: Final = frozenset("氵亻讠扌艹钅饣纟忄犭礻衤冫刂阝攵辶彳宀灬")


@lru_cache(maxsize=1)
def pairs() -> tuple[tuple[str, str, str], ...]:
    """Return (left, right, whole) of every pair, in the order of ``split.txt``."""
    lines = Path(__file__).with_name("split.txt").read_text(encoding="utf-8").splitlines()
    found = [pair for line in lines if not line.startswith("#") for pair in line.split()]
    return tuple((pair[0], pair[1], pair[2]) for pair in dict.fromkeys(found))


def joined_in_text() -> dict[tuple[str, str], str]:
    """Return the pairs that are joined wherever they stand: those with a bare radical."""
    return {(a, b): c for a, b, c in pairs() if a in BARE_RADICALS or b in BARE_RADICALS}


@lru_cache(maxsize=1)
def spellings() -> dict[str, tuple[str, ...]]:
    """Return whole → its split spellings of ordinary characters, which words are also looked for in."""
    found: dict[str, tuple[str, ...]] = {}
    for a, b, c in pairs():
        if a not in BARE_RADICALS and b not in BARE_RADICALS:
            found[c] = (*found.get(c, ()), a + b)
    return found
