"""The small language of the corpus: text with choices in braces.

``{a|b|}`` chooses one of the alternatives, which may be empty and may nest.
``{name}`` takes a value of the slot ``name``. ``{3..90}`` is a number, ``{#6}`` six
digits, ``{#5-9}`` five to nine, ``{@6}`` a handle of six letters and digits. Slots are
templates too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from detectors.corpus.errors import CorpusFileError

MAX_DEPTH: Final = 12
_RANGE: Final = re.compile(r"(\d+)\.\.(\d+)")
_DIGITS: Final = re.compile(r"#(\d+)(?:-(\d+))?")
_HANDLE: Final = re.compile(r"@(\d+)")
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_CURE: Final = "Correct the line; `{` and `}` must pair, and a slot must be declared in slots.txt."


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a template: literal text, a choice among sequences, or a slot's or number's name."""

    kind: str
    text: str = ""
    choices: tuple[tuple[Piece, ...], ...] = ()


@lru_cache(maxsize=8)
def parse(template: str) -> tuple[Piece, ...]:
    """Read a template; the last few are remembered, as dozens of texts are written of each.

    Raises:
        CorpusFileError: braces do not pair, or a name in braces is none.
    """
    pieces, rest = _sequence(template, 0, inside=False)
    if rest != len(template):
        raise CorpusFileError(f"Unpaired brace in {template!r}.", cure=_CURE)
    return pieces


def _sequence(text: str, at: int, *, inside: bool) -> tuple[tuple[Piece, ...], int]:
    pieces: list[Piece] = []
    start = at
    while at < len(text) and not (inside and text[at] in "|}"):
        if text[at] == "}":
            break
        if text[at] != "{":
            at += 1
            continue
        if at > start:
            pieces.append(Piece("text", text[start:at]))
        piece, at = _braces(text, at + 1)
        pieces.append(piece)
        start = at
    if at > start:
        pieces.append(Piece("text", text[start:at]))
    return tuple(pieces), at


def _braces(text: str, at: int) -> tuple[Piece, int]:
    choices: list[tuple[Piece, ...]] = []
    begin = at
    while True:
        sequence, at = _sequence(text, at, inside=True)
        choices.append(sequence)
        if at >= len(text):
            raise CorpusFileError(f"Unpaired brace in {text!r}.", cure=_CURE)
        if text[at] == "}":
            break
        at += 1
    if len(choices) > 1:
        return Piece("choice", choices=tuple(choices)), at + 1
    name = text[begin:at]
    for kind, pattern in (("range", _RANGE), ("digits", _DIGITS), ("handle", _HANDLE), ("slot", _NAME)):
        if pattern.fullmatch(name):
            return Piece(kind, name), at + 1
    if not name.isascii() or (choices[0][:1] and choices[0][0].kind != "text"):
        return Piece("choice", choices=tuple(choices)), at + 1
    raise CorpusFileError(f"{{{name}}} in {text!r} is neither a choice nor a name.", cure=_CURE)


class Writer:
    """Writes texts from templates with a set of slots (name → alternatives).

    Raises:
        CorpusFileError: a slot names an unknown slot or, in the end, itself.
    """

    def __init__(self, slots: dict[str, list[str]]) -> None:
        self._slots = {name: [parse(value) for value in values] for name, values in slots.items()}
        for name, values in self._slots.items():
            self._check(values, (name,))

    def check(self, template: str) -> None:
        """Parse a template and look up its slots.

        Raises:
            CorpusFileError: it is damaged or names an unknown slot.
        """
        self._check([parse(template)], ())

    def write(self, template: str, rng: Random) -> str:
        """Return one text of a template."""
        return self._write(parse(template), rng)

    def _check(self, sequences: list[tuple[Piece, ...]], above: tuple[str, ...]) -> None:
        if len(above) > MAX_DEPTH or (above and above[-1] in above[:-1]):
            raise CorpusFileError(f"Slots contain one another: {' → '.join(above)}.", cure=_CURE)
        for sequence in sequences:
            for piece in sequence:
                if piece.kind == "slot":
                    if piece.text not in self._slots:
                        raise CorpusFileError(f"There is no slot {piece.text!r}.", cure=_CURE)
                    self._check(self._slots[piece.text], (*above, piece.text))
                for choice in piece.choices:
                    if len(choice) == 1 and choice[0].kind == "text" and choice[0].text in self._slots:
                        raise CorpusFileError(f"The slot {choice[0].text!r} stands without braces.", cure=_CURE)
                self._check(list(piece.choices), above)

    def _write(self, sequence: tuple[Piece, ...], rng: Random) -> str:
        return "".join(self._one(piece, rng) for piece in sequence)

    def _one(self, piece: Piece, rng: Random) -> str:
        if piece.kind == "text":
            return piece.text
        if piece.kind == "choice":
            return self._write(rng.choice(piece.choices), rng)
        if piece.kind == "slot":
            return self._write(rng.choice(self._slots[piece.text]), rng)
        if piece.kind == "range":
            low, high = piece.text.split("..")
            return str(rng.randint(int(low), int(high)))
        if piece.kind == "handle":
            return "".join(rng.choices("abcdefghjkmnpqrstuvwxyz23456789", k=int(piece.text[1:])))
        low, _, high = piece.text[1:].partition("-")
        length = rng.randint(int(low), int(high or low))
        return str(rng.randint(1, 9)) + "".join(rng.choices("0123456789", k=length - 1))
