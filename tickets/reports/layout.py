"""A report as blocks that DOCX and PDF set alike: headings, name-value tables, lists, paragraphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from retention.printing.blocks import Block, Grid, Heading, Pairs, Paragraph, printable
from tickets.reports.templates import EachSection, FieldsSection, TableSection, Template, TextSection

NOTHING: Final = "—"


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


_PEOPLE: Final = frozenset({"reviewer", "approver", "approved_by"})
_OPTIONAL: Final = frozenset({"corrects", "reversal"})


def _pairs(fields: Sequence[tuple[str, str]], data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    rows = ((label, path, find(data, path)) for label, path in fields)
    return tuple(
        (label, shown(_name(value) if path in _PEOPLE else value))
        for label, path, value in rows
        if value or path not in _OPTIONAL
    )


def _name(value: Any) -> Any:
    """An account's name as people read it."""
    return value.removeprefix("user:") if isinstance(value, str) else value
