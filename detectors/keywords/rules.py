"""What a keyword rule is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """A rule's state: ``draft`` is not loaded, ``shadow`` is counted but opens nothing, ``live`` is."""

    DRAFT = "draft"
    SHADOW = "shadow"
    LIVE = "live"


class Boundary(StrEnum):
    """How a hit's ends are checked against the words around it.

    ``AUTO``: Chinese words of up to three characters must not overlap a dictionary word in part; Latin letters and
    digits must not continue. ``WORD``: likewise at any length. ``LATIN``: only Latin letters and digits.
    ``NONE``: nothing, so that ``vx`` is found in ``jiavx1``.
    """

    AUTO = "auto"
    WORD = "word"
    LATIN = "latin"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a pack.

    It speaks where one of ``words`` stands and, for each group of ``near``, one of that group's words within ``within``
    characters of it (counted between the two, normalised), unless one of ``unless`` stands within ``UNLESS_WITHIN``
    characters, or the hit lies inside one of ``allow``. With ``pattern`` (RE2, over the normalised text) the words only
    say where to look, and the pattern's match is the hit. ``sound``: the words are also looked for by their pinyin.
    ``weight`` is the chance that a text with this hit is illegal, 0..1.
    """

    id: str
    category: str
    subtype: str
    words: tuple[str, ...]
    near: tuple[tuple[str, ...], ...] = ()
    within: int = 8
    unless: tuple[str, ...] = ()
    pattern: str = ""
    severity: int = 2
    weight: float = 0.9
    boundary: Boundary = Boundary.AUTO
    sound: bool = False
    allow: tuple[str, ...] = ()
    hits: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()
    state: State = State.LIVE
    basis: str = ""
    author: str = ""
    since: str = ""
    until: str = ""
    file: str = ""
    line: int = 0

    @property
    def version(self) -> str:
        """Changes whenever what the rule finds or says of it changes; its state, dates and author do not count."""
        said = (
            self.id, self.category, self.subtype, self.words, self.near, self.within, self.unless, self.pattern,
            self.severity, self.weight, self.boundary.value, self.sound, self.allow,
        )  # fmt: skip
        return f"rule-{hashlib.sha256(repr(said).encode('utf-8', 'backslashreplace')).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault in a pack: where it is, what it is and how to cure it. ``fatal`` faults keep a pack from loading."""

    file: str
    line: int
    what: str
    cure: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what} {self.cure}"
