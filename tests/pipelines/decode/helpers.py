"""Short ways to decode a few bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pipelines.batches import DecodedBatch, Place, RawBatch
from pipelines.decode import decoder
from pipelines.sources.spec import SourceSpec

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def decode(
    form: str, data: bytes, *, now: datetime = NOW, first: bool = True, header: bytes = b"", **spec: Any
) -> DecodedBatch:
    declared = SourceSpec.model_validate(
        {"name": f"test.{form}", "record_class": "user_log", "format": form, "paths": ("x",), **spec}
    )
    place = Place(declared.name, "file", 1000, 1000 + len(data))
    batch = decoder(declared).decode(RawBatch(place, data, first=first, last=True, header=header), now)
    batch.records.validate(full=True)
    batch.unparsed.validate(full=True)
    return batch


def filled(batch: DecodedBatch) -> list[dict[str, Any]]:
    """Rows of records without their nulls, place, ingest and bytes; ``extra`` as a dict."""
    rows = []
    for row in batch.records.to_pylist():
        kept = {
            name: value
            for name, value in row.items()
            if value is not None
            and not name.startswith(("log_source", "log_p", "log_o", "log_l"))
            and name not in {"raw", "event_ingested"}
        }
        if row["log_syslog_priority"] is not None:
            kept["log_syslog_priority"] = row["log_syslog_priority"]
        if "extra" in kept:
            assert len(dict(kept["extra"])) == len(kept["extra"])
            kept["extra"] = dict(kept["extra"])
        rows.append(kept)
    return rows


def reasons(batch: DecodedBatch) -> list[str]:
    found: list[str] = batch.unparsed.column("error_code").to_pylist()
    return found
