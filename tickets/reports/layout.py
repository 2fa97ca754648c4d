"""A report as blocks that DOCX and PDF set alike: headings, name-value tables, lists, paragraphs."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tickets.reports.templates import EachSection, FieldsSection, TableSection, Template, TextSection

NOTHING: Final = "—"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 or 2."""

    text: str
    level: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names and values."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with its header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; lines are kept."""

    text: str


Block = Heading | Pairs | Grid | Paragraph


@dataclass(frozen=True, slots=True)
class Laid:
    """A whole report."""

    title: str
    recipient: str
    basis: str
    number: str
    company: str
    blocks: tuple[Block, ...]


def lay_out(template: Template, data: Mapping[str, Any]) -> Laid:
    """Fill a template with a report's data; an empty field shows a dash, and one that corrects nothing is left out."""
    blocks: list[Block] = []
    tickets: Sequence[Mapping[str, Any]] = data["tickets"]
    for section in template.section:
        blocks.append(Heading(section.heading, 1))
        match section:
            case FieldsSection():
                blocks.append(Pairs(_pairs(section.fields, data)))
            case TextSection():
                blocks.append(Paragraph(shown(find(data, section.path))))
            case TableSection():
                rows = tuple(tuple(shown(find(one, path)) for _, path in section.columns) for one in tickets)
                blocks.append(Grid(tuple(label for label, _ in section.columns), rows))
            case EachSection():
                for one in tickets:
                    blocks.append(Heading(section.title.replace("{ticket_id}", str(one["ticket_id"])), 2))
                    blocks.append(Pairs(_pairs(section.fields, one)))
    company = shown(find(data, "company.name"))
    return Laid(template.title, template.recipient, template.basis, data["report_number"], company, tuple(blocks))


def find(data: Mapping[str, Any], path: str) -> Any:
    """The value at a path of names with dots; None where there is none."""
    found: Any = data
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None or value in ("", []):
        return NOTHING
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, (list, tuple)):
        return "\n".join(shown(item) for item in value)
    return printable(str(value))


def printable(text: str) -> str:
    """Text without what no document may hold: control characters and lone surrogates show as a box.

    Marks that turn the direction of writing are shown as boxes too: they can make a report read otherwise than it is.
    """
    return "".join(
        "□" if unicodedata.category(char) in ("Cc", "Cs", "Cf", "Co", "Cn") and char not in "\n\t" else char
        for char in text.replace("\r\n", "\n")
    )


_OPTIONAL: Final = frozenset({"corrects", "reversal"})


def _pairs(fields: Sequence[tuple[str, str]], data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    rows = ((label, path, find(data, path)) for label, path in fields)
    return tuple((label, shown(value)) for label, path, value in rows if value or path not in _OPTIONAL)
