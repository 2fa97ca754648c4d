"""A report as a file: DOCX, PDF, JSON or CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from tickets.reports.layout import lay_out
from tickets.reports.tabular import write_csv, write_json
from tickets.reports.templates import SHIPPED, template_for


class Format(StrEnum):
    """Forms of a report."""

    DOCX = "docx"
    PDF = "pdf"
    JSON = "json"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        """For HTTP."""
        return {
            "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "pdf": "application/pdf",
            "json": "application/json",
            "csv": "text/csv; charset=utf-8",
        }[self.value]


def export(
    data: Mapping[str, Any],
    form: Format,
    *,
    fonts: Sequence[str | Path] = (),
    templates: Path = SHIPPED,
    made_at: datetime | None = None,
) -> bytes:
    """A report's data (``filing.open_report``) as a file.

    Raises:
        FontMissingError: PDF, and there is no Chinese font.
    """
    if form is Format.JSON:
        return write_json(data)
    if form is Format.CSV:
        return write_csv(data)
    laid = lay_out(template_for(data["recipient"], templates), data)
    moment = made_at or datetime.now(UTC)
    if form is Format.DOCX:
        from tickets.reports.docx import write_docx

        return write_docx(laid, made_at=moment)
    from tickets.reports.pdf import write_pdf

    return write_pdf(laid, made_at=moment, fonts=fonts)
