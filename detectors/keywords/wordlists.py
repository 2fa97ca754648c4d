"""Word lists as the public passes them round: read into words with the line, category and weight they come with.

Forms: ``words`` (one a line), ``table`` (word, then a category or a weight or both, between tabs, commas or blanks),
``base64`` (each line encoded), ``json`` (a list of words or objects, or an object of categories, words or weights).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from detectors.errors import RuleListError

FORMATS: Final = ("words", "table", "base64", "json")
MAX_BYTES: Final = 64 << 20
MAX_WORDS: Final = 1_000_000
MAX_DEPTH: Final = 16
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{2,}={0,2}\Z")
_NUMBER: Final = re.compile(r"[+-]?\d{1,9}(?:\.\d{1,9})?\Z")
_SAMPLE: Final = 2000
"""Lines by which the form of a list is told."""
_WORD_KEYS: Final = ("word", "keyword", "text", "name", "value", "term", "词", "敏感词", "关键词")
_CATEGORY_KEYS: Final = ("category", "type", "label", "class", "tag", "group", "类别", "分类", "类型")
_WEIGHT_KEYS: Final = ("weight", "score", "level", "rank", "severity", "权重", "等级", "级别")
_CURE: Final = f"Give one word a line, or name the form with --format ({', '.join(FORMATS)})."


@dataclass(frozen=True, slots=True)
class Entry:
    """A word of a list: its line (of JSON: its number) from 1, and the category and weight as written, if any."""

    line: int
    word: str
    category: str | None = None
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class WordList:
    """What a file says, in which form and encoding."""

    entries: tuple[Entry, ...]
    form: str
    encoding: str


def read_list(data: bytes, name: str, form: str | None = None) -> WordList:
    """Read the bytes of the list ``name``; its form is told from its lines unless given.

    Raises:
        RuleListError: it is too large, in no known encoding, not in the form given, or holds no word.
    """
    if len(data) > MAX_BYTES:
        raise RuleListError(f"{name} has over {MAX_BYTES >> 20} MiB.", cure="Divide it.")
    text, encoding = _decoded(data, name)
    form = form or _form(text)
    if form == "json":
        found = _json(text, name)
    else:
        lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
        kept = [(number, line) for number, line in lines if line and not line.startswith(("#", "//"))]
        found = _base64(kept, name) if form == "base64" else _table(kept) if form == "table" else _words(kept)
    entries = []
    for entry in found:
        entries.append(entry)
        if len(entries) > MAX_WORDS:
            raise RuleListError(f"{name} holds over {MAX_WORDS:,} words.", cure="Divide it.")
    if not entries:
        raise RuleListError(f"{name} holds no word.", cure=_CURE)
    return WordList(tuple(entries), form, encoding)


def _decoded(data: bytes, name: str) -> tuple[str, str]:
    tried = ["utf-16"] if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ["utf-8-sig", "gb18030"]
    for encoding in tried:
        try:
            return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n"), encoding.removesuffix("-sig")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
    raise RuleListError(
        f"{name}:{line}: the line is neither UTF-8 nor GB18030.", cure="Save the file as UTF-8, or leave the line out."
    )


def _form(text: str) -> str:
    lines = [line.strip() for line in text.split("\n", _SAMPLE)[:_SAMPLE]]
    lines = [line for line in lines if line and not line.startswith(("#", "//"))]
    if text.lstrip()[:1] in ("[", "{"):
        return "json"
    plain = [_unpacked(line) for line in lines]
    if lines and all(plain) and any(not word.isascii() for word in plain if word):
        return "base64"
    if lines and sum(len(_cells(line)) > 1 for line in lines) > len(lines) / 2:
        return "table"
    return "words"


def _unpacked(line: str) -> str | None:
    """The text of a line of base64, None if it is none."""
    if not _BASE64.match(line):
        return None
    try:
        data = base64.b64decode(line + "=" * (-len(line.rstrip("=")) % 4 if "=" not in line else 0), validate=True)
    except (binascii.Error, ValueError):
        return None
    for encoding in ("utf-8", "gb18030"):
        try:
            word = data.decode(encoding).strip()
        except UnicodeDecodeError:
            continue
        return word if word.isprintable() else None
    return None


def _cells(line: str) -> list[str]:
    """The cells of a line: between tabs, else commas, else a number at the end (``word 3``, ``word 3 n``)."""
    for mark in ("\t", ",", "，"):
        if mark in line:
            return [cell.strip().strip('"') for cell in line.split(mark)]
    parts = line.split()
    for last in (1, 2):
        if len(parts) > last and _NUMBER.match(parts[-last]):
            return [" ".join(parts[:-last]), *parts[-last:]]
    return [line]


def _words(lines: list[tuple[int, str]]) -> Iterator[Entry]:
    for number, line in lines:
        # Lists end their lines with a comma or 、 as often as not.
        yield Entry(number, line.strip(",，、;； "))


def _table(lines: list[tuple[int, str]]) -> Iterator[Entry]:
    for number, line in lines:
        word, *rest = _cells(line)
        weight = next((float(cell) for cell in rest if _NUMBER.match(cell)), None)
        category = next((cell for cell in rest if cell and not _NUMBER.match(cell)), None)
        yield Entry(number, word, category, weight)


def _base64(lines: list[tuple[int, str]], name: str) -> Iterator[Entry]:
    for number, line in lines:
        word = _unpacked(line)
        if word is None:
            raise RuleListError(
                f"{name}:{number}: the line is no base64 of UTF-8 or GB18030 text.",
                cure="Correct it, or name the form of the list with --format.",
            )
        yield Entry(number, word)


def _json(text: str, name: str) -> Iterator[Entry]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RuleListError(f"{name}:{error.lineno}: this is no JSON: {error.msg}.", cure=_CURE) from error
    for number, entry in enumerate(_values(value, None, name), 1):
        yield Entry(number, entry.word, entry.category, entry.weight)


def _values(value: Any, category: str | None, name: str, depth: int = 0) -> Iterator[Entry]:
    """Words of a JSON value; a name above a list is the category of its words."""
    if depth > MAX_DEPTH:
        raise RuleListError(f"{name} nests deeper than {MAX_DEPTH} values.", cure="Give lists of words by category.")
    if isinstance(value, str):
        yield Entry(0, value.strip(), category)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, category, name, depth + 1)
    elif isinstance(value, dict):
        word = _first(value, _WORD_KEYS, str)
        if word is not None:
            said = _first(value, _CATEGORY_KEYS, str)
            weight = _first(value, _WEIGHT_KEYS, int | float)
            yield Entry(0, word.strip(), said or category, None if weight is None else float(weight))
            return
        for key, below in value.items():
            if isinstance(below, list | dict):
                # {"words": [...]} names no category.
                above = category if key.lower().rstrip("s") in (*_WORD_KEYS, "data") else key
                yield from _values(below, above, name, depth + 1)
            elif isinstance(below, bool) or below is None:
                yield Entry(0, key.strip(), category)
            elif isinstance(below, int | float):
                yield Entry(0, key.strip(), category, float(below))
            else:
                yield Entry(0, key.strip(), str(below).strip() or category)


def _first(value: dict[str, Any], keys: tuple[str, ...], kind: Any) -> Any:
    lowered = {key.lower(): found for key, found in value.items()}
    return next((lowered[key] for key in keys if isinstance(lowered.get(key), kind) and lowered[key] is not True), None)
