"""Texts from templates with slots, a column at a time."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from errors import SettingsError
from liucun.sample.draws import Draws

FOLDER: Final = Path(__file__).parent / "texts"
_SLOT = re.compile(r"\{(\w+)\}")
_CURE: Final = "Install Liucun again: the sample's texts belong to the package."
_UNQUOTED: Final = re.compile(r'["\\\x00-\x1f]')


@cache
def lines_of(name: str) -> tuple[str, ...]:
    """Lines of a text file, without comments and blank lines; they need no escaping in JSON.

    Raises:
        SettingsError: the file is missing or damaged.
    """
    try:
        body = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The sample's texts {name}.txt cannot be read: {error}.", cure=_CURE) from error
    found = tuple(line for line in body.splitlines() if line.strip() and not line.startswith("#"))
    for line in found:
        if _UNQUOTED.search(line):
            raise SettingsError(f"A line of {name}.txt holds a quote, backslash or control character.", cure=_CURE)
    return found


@cache
def slots() -> dict[str, pa.StringArray]:
    """Words of every slot."""
    found = {}
    for line in lines_of("slots"):
        name, _, words = line.partition("=")
        found[name.strip()] = pa.array([word.strip() for word in words.split("|")], pa.string())
    return found


def compose(templates: tuple[str, ...], draws: Draws, count: int) -> pa.StringArray:
    """``count`` texts; every template as likely, every word of a slot as likely.

    Raises:
        SettingsError: a template names a slot that there is not.
    """
    which = draws.below(len(templates), count)
    order = np.argsort(which, kind="stable")
    sizes = np.bincount(which, minlength=len(templates))
    parts = [fill(template, draws, int(size)) for template, size in zip(templates, sizes, strict=True)]
    back = np.empty(count, dtype=np.int64)
    back[order] = np.arange(count)
    return pa.concat_arrays(parts).take(pa.array(back))


def fill(template: str, draws: Draws, count: int) -> pa.StringArray:
    """``count`` texts of one template."""
    pieces: list[pa.Scalar | pa.Array] = []
    at = 0
    for match in _SLOT.finditer(template):
        words = slots().get(match[1])
        if words is None:
            raise SettingsError(f"The sample's texts have no slot {match[1]!r}.", cure=_CURE)
        pieces += [pa.scalar(template[at : match.start()]), draws.pick(words, count)]
        at = match.end()
    whole = pa.array([""] * count, pa.string()) if not pieces else pa.scalar("")
    return pc.binary_join_element_wise(*pieces, pa.scalar(template[at:]), whole, "")
