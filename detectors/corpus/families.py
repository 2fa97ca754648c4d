"""The families of the corpus: what the files hold, and the texts they give.

``families/CATEGORY*.txt`` holds themes (``== name``, or ``== name *4`` for four times as many texts) of one category
and the templates below them;
``families/slots.txt`` holds slots (``name = a | b``). A template is one family: its texts are alike, so that
measuring splits by family, never by text. A theme (invoices, escort adverts …) is what families share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Final

from detectors.base import CATEGORIES
from detectors.corpus.errors import CorpusFileError
from detectors.corpus.templates import Writer

FOLDER: Final = Path(__file__).parent / "families"
SLOTS: Final = "slots.txt"
NONE: Final = "none"
PER_FAMILY: Final = 16
PER_HARMLESS: Final = 28
"""Texts of a harmless family: there is more of the ordinary than of anything else."""
MAX_TIMES: Final = 100
_CURE: Final = "Correct the file; detectors/corpus/README.md tells its form."


@dataclass(frozen=True, slots=True)
class Family:
    """One template; ``name`` is ``CATEGORY/THEME/NUMBER`` and unique over the whole corpus.

    ``times`` as many texts as usual are written of it: for templates of many slots, whose texts are hardly alike.
    """

    name: str
    category: str
    template: str
    times: int = 1

    @property
    def theme(self) -> str:
        """What it is about: ``CATEGORY/THEME``."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Example:
    """One text of the corpus."""

    text: str
    category: str
    family: str


def read_families(folder: Path = FOLDER) -> tuple[list[Family], Writer]:
    """Read and check all families and slots.

    Raises:
        CorpusFileError: a file is missing or damaged, a category unknown, a family empty or twice there.
    """
    try:
        writer = Writer(_read_slots((folder / SLOTS).read_text(encoding="utf-8")))
        files = [(p.stem, p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.txt")) if p.name != SLOTS]
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusFileError(f"The corpus in {folder} cannot be read: {error}.", cure=_CURE) from error
    families: list[Family] = []
    for stem, body in files:
        category = stem.partition("-")[0]
        if category not in (*CATEGORIES, NONE):
            raise CorpusFileError(f"{stem}.txt names no category.", cure=_CURE)
        families.extend(_families(stem, category, body))
    twice = sorted(name for name, number in Counter(f.name for f in families).items() if number > 1)
    if twice:
        raise CorpusFileError(f"The family {twice[0]} is there twice.", cure=_CURE)
    for family in families:
        writer.check(family.template)
    return families, writer


def _read_slots(body: str) -> dict[str, list[str]]:
    slots: dict[str, list[str]] = {}
    for number, line in enumerate(body.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, values = line.partition("=")
        if not sign or not name.strip().isidentifier() or name.strip() in slots:
            raise CorpusFileError(f"Line {number} of {SLOTS} declares no new slot.", cure=_CURE)
        slots[name.strip()] = [value.strip() for value in _alternatives(values)]
    return slots


def _alternatives(values: str) -> list[str]:
    """Cut at the bars that stand outside braces."""
    found, depth, start = [], 0, 0
    for at, char in enumerate(values):
        depth += (char == "{") - (char == "}")
        if char == "|" and depth == 0:
            found.append(values[start:at])
            start = at + 1
    return [*found, values[start:]]


def _families(stem: str, category: str, body: str) -> Iterator[Family]:
    theme, number, times = "", 0, 1
    for line in body.splitlines():
        if line.startswith("=="):
            if theme and not number:
                raise CorpusFileError(f"The theme {theme} of {stem}.txt has no template.", cure=_CURE)
            (theme, times), number = _heading(stem, line[2:]), 0
        elif line.strip() and not line.startswith("#"):
            if not theme:
                raise CorpusFileError(f"{stem}.txt has text above its first theme.", cure=_CURE)
            number += 1
            yield Family(f"{category}/{theme}/{number}", category, line.strip(), times)


def _heading(stem: str, text: str) -> tuple[str, int]:
    name, sign, times = text.partition("*")
    if sign and not (times.strip().isdecimal() and 1 <= int(times) <= MAX_TIMES):
        raise CorpusFileError(f"The theme {text.strip()} of {stem}.txt has no number behind its `*`.", cure=_CURE)
    return name.strip(), int(times) if sign else 1


def examples(
    per_family: int = PER_FAMILY, seed: int = 0, folder: Path = FOLDER, per_harmless: int = PER_HARMLESS
) -> list[Example]:
    """Write the corpus: up to so many different texts of each family, the same ones for the same seed."""
    families, writer = read_families(folder)
    written: list[Example] = []
    for family in families:
        rng = Random(f"{seed}:{family.name}")
        texts: dict[str, None] = {}
        wanted = (per_harmless if family.category == NONE else per_family) * family.times
        for _ in range(wanted * 2):
            if len(texts) == wanted:
                break
            texts.setdefault(writer.write(family.template, rng))
        written.extend(Example(text, family.category, family.name) for text in texts if text)
    return written


@lru_cache(maxsize=1)
def corpus() -> tuple[Example, ...]:
    """Return the whole corpus, written once a process."""
    return tuple(examples())
