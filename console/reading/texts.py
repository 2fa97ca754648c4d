"""Texts of tickets as pages show them: masked or not, cut into plain and hit pieces."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from console.masking import mask_account, mask_text
from errors import IntegrityError
from tickets.bodies import Bodies, ticket_context
from tickets.queue import TicketDetail
from tickets.tables import findings as finding_table
from tickets.tables import tickets as table

EXCERPT: Final = 42
_BEFORE: Final = 12


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a text; ``hits`` are the numbers (from 1) of the findings that cover it."""

    text: str
    hits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShownText:
    """A field's text in pieces."""

    field: str
    pieces: tuple[Piece, ...]


def masked_detail(detail: TicketDetail) -> TicketDetail:
    """A ticket with the personal data of texts, account, notes and what was said of it hidden; offsets stay right."""
    return replace(
        detail,
        user_id=detail.user_id and mask_account(detail.user_id),
        texts=tuple({**entry, "text": mask_text(entry["text"])} for entry in detail.texts),
        notes=tuple({**note, "text": mask_text(note["text"])} for note in detail.notes),
        details={name: mask_text(value) for name, value in detail.details.items()},
    )


def shown_texts(
    texts: Sequence[dict[str, Any]], findings: Sequence[dict[str, Any]], *, masked: bool
) -> tuple[ShownText, ...]:
    """Cut texts at the ends of hits."""
    return tuple(_shown(entry, findings, masked=masked) for entry in texts)


def _shown(entry: dict[str, Any], findings: Sequence[dict[str, Any]], *, masked: bool) -> ShownText:
    text = mask_text(entry["text"]) if masked else str(entry["text"])
    spans = [
        (number, max(0, finding["start"]), min(len(text), finding["end"]))
        for number, finding in enumerate(findings, 1)
        if finding["field"] == entry["field"] and finding["offset"] == entry["offset"]
    ]
    edges = sorted({0, len(text), *(edge for _, start, end in spans for edge in (start, end) if edge <= len(text))})
    pieces = tuple(
        Piece(text[start:end], tuple(n for n, first, last in spans if first <= start and end <= last))
        for start, end in itertools.pairwise(edges)
        if start < end
    )
    return ShownText(str(entry["field"]), pieces)


def matched(texts: Sequence[dict[str, Any]], finding: dict[str, Any], *, masked: bool) -> str:
    """The words of a hit."""
    for entry in texts:
        if entry["field"] == finding["field"] and entry["offset"] == finding["offset"]:
            text = mask_text(entry["text"]) if masked else str(entry["text"])
            return text[finding["start"] : finding["end"]]
    return "…"


def excerpts(connection: sa.Connection, bodies: Bodies, ids: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """(before, hit, after) of the first hit of each ticket, masked and short.

    A ticket whose body is damaged is left out: it must not keep the pages of others from being shown. Its own page,
    and the audit of integrity, say so.
    """
    sealed = connection.execute(sa.select(table.c.ticket_id, table.c.body).where(table.c.ticket_id.in_(ids))).all()
    f = finding_table.c
    first: dict[str, Any] = {}
    for hit in connection.execute(
        sa.select(f.ticket_id, f.field, f.offset, f.start, f.end)
        .where(f.ticket_id.in_(ids))
        .order_by(f.severity.desc(), f.score.desc(), f.id)
    ):
        first.setdefault(hit.ticket_id, hit)
    found: dict[str, tuple[str, str, str]] = {}
    for row in sealed:
        try:
            body = json.loads(bodies.open(row.body, ticket_context(row.ticket_id)))
        except IntegrityError:
            continue
        found[row.ticket_id] = _excerpt(body["texts"], first.get(row.ticket_id))
    return found


def _excerpt(texts: Sequence[dict[str, Any]], hit: Any) -> tuple[str, str, str]:
    if not texts:
        return "", "", ""
    entry = next(
        (e for e in texts if hit is not None and e["field"] == hit.field and e["offset"] == hit.offset), texts[0]
    )
    text = mask_text(entry["text"])
    start, end = (hit.start, min(hit.end, hit.start + EXCERPT)) if hit is not None else (0, 0)
    begin = max(0, start - _BEFORE)
    stop = max(end, begin + EXCERPT)
    before = ("…" if begin else "") + text[begin:start]
    after = text[end:stop] + ("…" if stop < len(text) else "")
    return _flat(before), _flat(text[start:end]), _flat(after)


def _flat(text: str) -> str:
    return "".join(" " if c in "\r\n\t" else c for c in text)
