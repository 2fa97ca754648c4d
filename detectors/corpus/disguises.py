"""Disguises (变体) that people use to slip past filters, applied to plain text.

Each is a function of (text, random generator, rate) that hides about ``rate`` of the
characters it can hide. They make perturbed copies for training, and measure how much
recall a model keeps under each; they are not an inverse of the normaliser.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Final

from detectors.model.folding import emoji_words, split_spellings

Disguise = Callable[[str, Random, float], str]

DEFAULT_RATE: Final = 0.4
_SIGNS: Final = (*".·*-_ |/~^、。❤☆✨丨︿【】#,", "\u200b")
_INVISIBLE: Final = "\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0f\u180e"
_ROUND: Final = {
    **{str(n): chr(0x245F + n) for n in range(1, 10)},
    "0": "⓪",
    **{chr(97 + n): chr(0x24D0 + n) for n in range(26)},
}
_BOLD: Final = {
    **{chr(97 + n): chr(0x1D41A + n) for n in range(26)},
    **{chr(65 + n): chr(0x1D400 + n) for n in range(26)},
    **{str(n): chr(0x1D7CE + n) for n in range(10)},
}


@lru_cache(maxsize=1)
def _readings() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return (character → syllable, syllable → common characters), common as level 1 of GB 2312 has them."""
    from detectors.model.folding import syllable_table

    table, syllables = syllable_table()
    syllable_of: dict[str, str] = {}
    sounding: dict[str, list[str]] = {}
    for point in range(0x4E00, 0xA000):
        if table[point]:
            char, syllable = chr(point), syllables[int(table[point]) - 1]
            syllable_of[char] = syllable
            if _is_common(char):
                sounding.setdefault(syllable, []).append(char)
    return syllable_of, sounding


def _is_common(char: str) -> bool:
    try:
        code = char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return len(code) == 2 and 0xB0 <= code[0] <= 0xD7


def homophone(text: str, rng: Random, rate: float = DEFAULT_RATE) -> str:
    """Write characters of the same sound: 微信 as 威芯."""
    syllable_of, sounding = _readings()
    out = []
    for char in text:
        alike = sounding.get(syllable_of.get(char, ""), ())
        out.append(rng.choice(alike) if len(alike) > 1 and rng.random() < rate else char)
    return "".join(out)


def pinyin(text: str, rng: Random, rate: float = DEFAULT_RATE) -> str:
    """Spell characters in Latin letters: 微信 as wei信."""
    syllable_of, _ = _readings()
    return "".join(syllable_of[c] if c in syllable_of and rng.random() < rate else c for c in text)


def initials(text: str, rng: Random, rate: float = DEFAULT_RATE) -> str:
    """Put the first letter of the reading for characters: 微信 as wx."""
    syllable_of, _ = _readings()
    return "".join(syllable_of[c][0] if c in syllable_of and rng.random() < rate * 0.6 else c for c in text)


def zero_width(text: str, rng: Random, rate: float = DEFAULT_RATE) -> str:
    """Put characters between others that are not to be seen."""
    return "".join(c + rng.choice(_INVISIBLE) if rng.random() < rate else c for c in text)


def split(text: str, rng: Random, rate: float = DEFAULT_RATE) -> str:
    """Take characters apart (拆字): 源 as 氵原."""
    spellings = split_spellings()
    return "".join(spellings[c] if c in spellings and rng.random() < max(rate, 0.8) else c for c in text)


def emoji(text: str, rng: Random, rate: float = DEFAULT_RATE) -> str:
    """Put emoji for words where there is one, and as decoration between the others."""
    words = emoji_words()
    out = []
    for char in text:
        if char in words and rng.random() < max(rate, 0.7):
            out.append(rng.choice(words[char]))
        else:
            out.append(char)
            if rng.random() < rate / 4:
                out.append(rng.choice("🔥✨💕👇🌟😍🎉💯👉⭐🍀💋"))
    return "".join(out)


def width(text: str, rng: Random, rate: float = DEFAULT_RATE) -> str:
    """Write ASCII wide, circled or in mathematical letters."""
    out = []
    style = rng.randrange(3)
    for char in text:
        if not ("!" <= char <= "~") or rng.random() > max(rate, 0.8):
            out.append(char)
        elif style == 1:
            out.append(_ROUND.get(char.lower(), char))
        elif style == 2:
            out.append(_BOLD.get(char, char))
        else:
            out.append(chr(ord(char) + 0xFEE0))
    return "".join(out)


def symbols(text: str, rng: Random, rate: float = DEFAULT_RATE) -> str:
    """Insert signs, spaces and zero-width characters between characters."""
    sign = rng.choice(_SIGNS)
    mixed = rng.random() < 0.5
    out = []
    for char in text:
        out.append(char)
        if rng.random() < rate:
            out.append(rng.choice(_SIGNS) if mixed else sign)
    return "".join(out)


def traditional(text: str, _rng: Random, _rate: float = DEFAULT_RATE) -> str:
    """Write traditional characters, all of them: nobody mixes the two scripts by chance."""
    from zhconv_rs import zhconv

    return str(zhconv(text, "zh-hant"))


def repeated(text: str, rng: Random, rate: float = DEFAULT_RATE) -> str:
    """Say characters several times over: 加加加微信."""
    return "".join(c * rng.randint(2, 4) if "一" <= c <= "鿿" and rng.random() < rate / 3 else c for c in text)


DISGUISES: Final[dict[str, Disguise]] = {
    "homophone": homophone,
    "pinyin": pinyin,
    "initials": initials,
    "split": split,
    "emoji": emoji,
    "width": width,
    "symbols": symbols,
    "traditional": traditional,
    "zero_width": zero_width,
    "repeated": repeated,
}
"""All disguises by name, in the order in which they are reported."""


def disguise(texts: list[str], name: str, seed: int, rate: float = DEFAULT_RATE) -> list[str]:
    """Apply one disguise to each text, the same way for the same seed."""
    function = DISGUISES[name]
    return [function(text, Random(f"{seed}:{name}:{n}"), rate) for n, text in enumerate(texts)]
