"""A report as PDF/A, set by the archive's printer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from retention.printing.blocks import Document, Paragraph, Tone
from retention.printing.pdf import write_pdf as set_document
from tickets.reports.layout import Laid


def write_pdf(laid: Laid, *, made_at: datetime, fonts: Sequence[str | Path] = ()) -> bytes:
    """Set a report as PDF/A-2b. ``fonts``: folders searched before the system's.

    Raises:
        FontMissingError: none of the known Chinese fonts is there.
        StorageError: the program that sets it failed.
    """
    document = Document(
        title=laid.title,
        subtitle=f"报送: {laid.recipient}    编号: {laid.number}",
        footer=f"{laid.company}  {laid.number}",
        author=laid.company,
        blocks=(*laid.blocks, Paragraph(f"依据: {laid.basis}", Tone.QUIET)),
    )
    return set_document(document, made_at=made_at, fonts=fonts)
