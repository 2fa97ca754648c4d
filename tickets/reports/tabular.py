"""A report for machines: JSON as it was sealed, CSV with one row a ticket."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any, Final

from retention.printing.blocks import printable
from tickets.reports.layout import shown

COLUMNS: Final = (
    "report_number", "corrects", "ticket_id", "merged", "item", "category", "subtype", "decision", "channel",
    "published_at", "detected_at", "ordered_at", "effective_at", "measures", "url", "content_id", "account",
    "real_name", "source_ip", "source_port", "excerpt", "views", "reposts", "evidence_sha256", "evidence_sm3",
    "kept_where", "kept_until", "police_reported_at", "due_on", "calendar", "provisional", "reviewer",
    "approved_by", "receipt",
)  # fmt: skip


def write_json(data: Mapping[str, Any]) -> bytes:
    """The whole report, UTF-8."""
    return json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True).encode("utf-8", "replace")


def write_csv(data: Mapping[str, Any]) -> bytes:
    """One row a ticket, UTF-8 with a mark so that spreadsheets know it; no cell can be taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    common = {name: data.get(name) for name in ("report_number", "corrects", "calendar", "approved_by", "receipt")}
    for ticket in data["tickets"]:
        row = {**common, **ticket}
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> str:
    if value is None or value == []:
        return ""
    text = str(value).lower() if isinstance(value, bool) else printable(shown(value))
    # Content comes from strangers: a spreadsheet would run a cell that begins like this.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text
