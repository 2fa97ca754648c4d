"""The folding table: code point → what it counts as, for a choice of steps."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.normalise.steps import ALL_STEPS, Steps
from detectors.normalise.tables.lookalikes import ENCLOSED, ENCLOSED_WORDS, LOOKALIKES, RADICALS, STROKES
from detectors.normalise.tables.readings import readings
from detectors.normalise.tables.shipped import stored
from detectors.normalise.tables.signs import WORD_SIGNS
from detectors.normalise.tables.split import BARE_RADICALS, joined_in_text

POINTS: Final = 0x110000
"""Number of Unicode code points."""
GROWTH: Final = 4
"""A code point folds to at most so many times its own bytes of UTF-8."""
_REPLACEMENT: Final = 0xFFFD
DROP: Final = 0
"""What a dropped code point folds to (U+0000 itself is a control and dropped or kept as U+FFFD)."""

# Where folding can change anything; the rest of the planes are letters that stay, or unassigned.
_BLOCKS: Final = (
    (0, 0x3400), (0xA000, 0xAC00), (0xD7A4, 0xD800), (0xE000, 0x10800), (0x1D000, 0x1D800), (0x1F000, 0x1FC00),
    (0xE0000, 0xE0200),
)  # fmt: skip
_COMPATIBILITY: Final = ((0xF900, 0xFB00), (0x2F800, 0x2FA20))
_HAN: Final = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x323B0))
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5")


class Reading(StrEnum):
    """How a text is read: ``PLAIN`` as its characters look, ``SIGNS`` with emoji and signs as the words that they
    stand for, ``SOUND`` with Chinese characters as their pinyin.
    """

    PLAIN = "plain"
    SIGNS = "signs"
    SOUND = "sound"


@dataclass(frozen=True, slots=True, eq=False)
class FoldTable:
    """``points``: what each code point folds to: 0 dropped, below ``POINTS`` one code point, else ``POINTS`` + number
    of an expansion. ``expansions``: code points end to end; number ``k`` owns ``borders[k]:borders[k+1]``.
    ``signs``: True for code points that have a second reading as a word (step ``emoji``).
    ``pairs``, ``joined``: split characters as ``first << 32 | second`` ascending, and what each spells; ``heads``: True
    for code points that begin a pair.
    """

    points: npt.NDArray[np.uint32]
    expansions: npt.NDArray[np.uint32]
    borders: npt.NDArray[np.int64]
    signs: npt.NDArray[np.bool_]
    pairs: npt.NDArray[np.uint64]
    joined: npt.NDArray[np.uint32]
    heads: npt.NDArray[np.bool_]


@lru_cache(maxsize=1)
def _simplified() -> dict[str, str]:
    """Traditional character → simplified, one to one."""
    from zhconv_rs import zhconv

    chars = [
        chr(p) for low, high in _HAN for p in range(low, min(high, 0x2A6E0)) if unicodedata.category(chr(p)) == "Lo"
    ]
    # One character a line, so that no phrase rule of the converter can reach across.
    lines = zhconv("\n".join(chars), "zh-hans").split("\n")
    return {c: s for c, s in zip(chars, lines, strict=True) if len(s) == 1 and s != c}


@lru_cache(maxsize=1)
def _enclosed() -> dict[str, str]:
    found = {chr(low + i): char for low, run in ENCLOSED for i, char in enumerate(run)}
    return found | {chr(point): word for point, word in ENCLOSED_WORDS.items()} | RADICALS


def fold_text(text: str, steps: Steps) -> str:
    """Fold a short text code point by code point: the definition that the tables are made from."""
    return "".join(_fold(char, steps) for char in text)


def _fold(char: str, steps: Steps) -> str:
    if steps.invisible and _is_invisible(char):
        return ""
    if steps.width:
        char = _enclosed().get(char, char)
        char = "".join(unicodedata.normalize("NFKC", c) for c in char)
    out = "".join(_fold_one(c, steps) for c in char)
    if not steps.symbols:
        return out or ("" if steps.invisible else char)
    return "".join(c for c in out if c.isalnum() and c not in STROKES)


def _fold_one(char: str, steps: Steps) -> str:
    if steps.invisible and _is_invisible(char):
        return ""
    if steps.confusable:
        char = LOOKALIKES.get(char, char)
    if steps.case:
        char = char.lower()
    if steps.confusable:
        # Lower case once more: a capital may look like one letter and its small form like another.
        char = "".join(LOOKALIKES.get(c, c) for c in char)
        if char < "\u0250" or "\u1e00" <= char < "\u1f00":
            char = unicodedata.normalize("NFD", char)[:1]
    if steps.traditional:
        char = _simplified().get(char, char)
    return char


def _is_invisible(char: str) -> bool:
    if char in "\t\n\r ":
        return False
    return unicodedata.category(char) in ("Cf", "Mn", "Me", "Cc") or char in _FILLERS


@lru_cache(maxsize=6)
def fold_table(steps: Steps = ALL_STEPS, reading: Reading = Reading.PLAIN) -> FoldTable:
    """Return the table of these steps for one reading: that of all steps as it ships, others made in about 0.1 s."""
    if steps == ALL_STEPS and (found := stored(reading)) is not None:
        points = np.arange(POINTS, dtype=np.uint32)
        points[found["changed"]] = found["values"]
        return _table(points, found["expansions"], found["borders"], steps, found["pairs"], found["joined"])
    return make_table(steps, reading)


def make_table(steps: Steps, reading: Reading) -> FoldTable:
    """Make the table of these steps for one reading from its definition, ``fold_text``."""
    points = np.arange(POINTS, dtype=np.uint32)
    points[0] = DROP if steps.invisible or steps.symbols else _REPLACEMENT
    points[0xD800:0xE000] = _REPLACEMENT
    expansions: list[int] = []
    borders = [0]
    for point, folded in _changes(steps, reading).items():
        if len(folded) == 1:
            points[point] = ord(folded)
        elif not folded:
            points[point] = DROP
        else:
            points[point] = POINTS + len(borders) - 1
            expansions.extend(map(ord, folded))
            borders.append(len(expansions))
    order, joined = _pairs(steps)
    return _table(points, np.array(expansions, np.uint32), np.array(borders, np.int64), steps, order, joined)


def _table(
    points: npt.NDArray[np.uint32],
    expansions: npt.NDArray[np.uint32],
    borders: npt.NDArray[np.int64],
    steps: Steps,
    pairs: npt.NDArray[np.uint64],
    joined: npt.NDArray[np.uint32],
) -> FoldTable:
    heads = np.zeros(POINTS, np.bool_)
    heads[(pairs >> np.uint64(32)).astype(np.int64)] = True
    signs = np.zeros(POINTS, np.bool_)
    signs[[ord(sign) for sign in WORD_SIGNS]] = steps.emoji
    arrays = (points, expansions, borders, signs, pairs, joined, heads)
    for array in arrays:
        array.setflags(write=False)
    return FoldTable(*arrays)


def _changes(steps: Steps, reading: Reading) -> dict[int, str]:
    """Code point → what it folds to, for all that do not stay as they are."""
    changed: dict[int, str] = {}
    for low, high in _BLOCKS:
        for point in range(low or 1, high):
            folded = _fold(char := chr(point), steps)
            if folded != char:
                changed[point] = folded
    odd = {chr(point) for low, high in _COMPATIBILITY for point in range(low, high)}
    # In order: expansions are numbered as they come, and a table must be the same in every process.
    for char in sorted(_simplified().keys() | LOOKALIKES.keys() | odd):
        folded = _fold(char, steps)
        if folded != char:
            changed[ord(char)] = folded
    if steps.emoji and reading is Reading.SIGNS:
        changed |= {ord(sign): fold_text(word, steps) for sign, word in WORD_SIGNS.items()}
    if reading is Reading.SOUND:
        spoken = {char: text for char, text in readings().items() if char not in BARE_RADICALS}
        changed |= {ord(char): text for char, text in spoken.items() if ord(char) not in changed}
        changed = {p: "".join(spoken.get(c, c) for c in folded) for p, folded in changed.items()}
    return {point: folded if len(folded) < 2 else _bounded(point, folded) for point, folded in changed.items()}


def _bounded(point: int, folded: str) -> str:
    """Cut what a code point expands to; only units and names of companies in one character are ever longer."""
    room = GROWTH * len(chr(point).encode())
    while len(folded.encode()) > room:
        folded = folded[:-1]
    return folded


def _pairs(steps: Steps) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
    keys: dict[int, int] = {}
    for (a, b), whole in joined_in_text().items() if steps.split else ():
        left, right, one = (fold_text(part, steps) for part in (a, b, whole))
        if len(left) == len(right) == len(one) == 1:
            keys[ord(left) << 32 | ord(right)] = ord(one)
    order = np.array(sorted(keys), np.uint64)
    return order, np.array([keys[int(key)] for key in order], np.uint32)
