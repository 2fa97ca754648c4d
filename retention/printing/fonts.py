"""Chinese fonts, as far as this machine has any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from retention.errors import FontMissingError

SERIF: Final = (
    "Noto Serif CJK SC",
    "Source Han Serif SC",
    "Noto Serif SC",
    "FangSong",
    "STFangsong",
    "SimSun",
    "STSong",
)
SANS: Final = (
    "Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC", "SimHei", "Microsoft YaHei", "PingFang SC",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback",
)  # fmt: skip


def choose(families: Sequence[str]) -> tuple[list[str], list[str]]:
    """Fonts for text and headings out of those that are there.

    Raises:
        FontMissingError: no Chinese one is there.
    """
    there = {family.casefold(): family for family in families}
    serif = [there[name.casefold()] for name in SERIF if name.casefold() in there]
    sans = [there[name.casefold()] for name in SANS if name.casefold() in there]
    if not serif and not sans:
        raise FontMissingError(
            "No Chinese font was found to set the PDF with.",
            cure="Install one (Debian: fonts-noto-cjk), or name its folder in [company] fonts.",
        )
    return [*serif, *sans], [*sans, *serif]
