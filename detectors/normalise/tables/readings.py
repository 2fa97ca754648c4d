"""Pinyin of single characters, without tones; ü is written v, as on a keyboard."""

from __future__ import annotations

import os
import unicodedata
from functools import lru_cache
from typing import Final

_HAN: Final = range(0x4E00, 0xA000)


@lru_cache(maxsize=1)
def readings() -> dict[str, str]:
    """Return character → its most frequent reading in Latin letters, for simplified and traditional characters."""
    table = _pinyin_dict()
    return {chr(point): _plain(table[point]) for point in _HAN if point in table}


def _plain(reading: str) -> str:
    decomposed = unicodedata.normalize("NFD", reading.partition(",")[0]).replace("u\u0308", "v")
    return "".join(char for char in decomposed if char.isascii())


def _pinyin_dict() -> dict[int, str]:
    # The library's phrases take a third of a second and 40 MB to load; single characters need none of them.
    before = os.environ.get("PYPINYIN_NO_PHRASES")
    os.environ["PYPINYIN_NO_PHRASES"] = "1"
    try:
        from pypinyin import pinyin_dict
    finally:
        if before is None:
            del os.environ["PYPINYIN_NO_PHRASES"]
        else:
            os.environ["PYPINYIN_NO_PHRASES"] = before
    found: dict[int, str] = pinyin_dict.pinyin_dict
    return found
