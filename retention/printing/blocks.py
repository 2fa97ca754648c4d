"""What a printed document consists of. Text is data: no renderer reads markup in it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum


class Tone(StrEnum):
    """How a paragraph speaks: ``loud`` is a warning that nobody may overlook, ``quiet`` an explanation beside."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    LOUD = "loud"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 or 2; ``begins_page`` where print begins a new page with it."""

    text: str
    level: int
    begins_page: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; lines are kept."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names and values."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with its header. ``widths`` are shares of the page's width, empty for automatic ones; ``numbers`` are
    the columns set to the right."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...] = ()
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as SVG of our own making, and what it shows in words."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Contents:
    """The list of the document's headings of level 1, with their pages where there are pages."""

    title: str


Block = Heading | Paragraph | Pairs | Grid | Picture | Contents


@dataclass(frozen=True, slots=True)
class Document:
    """A whole document. ``subtitle`` stands under the title, ``footer`` on every page beside the page's number."""

    title: str
    subtitle: str
    footer: str
    author: str
    blocks: tuple[Block, ...] = field(default=())
    watermark: str = ""
    """Words behind the text of every printed page."""


def printable(text: str) -> str:
    """Text without what no document may hold: control characters and lone surrogates show as a box.

    Marks that turn the direction of writing are shown as boxes too: they can make a report read otherwise than it is.
    """
    return "".join(
        "□" if unicodedata.category(char) in ("Cc", "Cs", "Cf", "Co", "Cn") and char not in "\n\t" else char
        for char in text.replace("\r\n", "\n")
    )
