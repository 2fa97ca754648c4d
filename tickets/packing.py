"""A package of evidence 证据包: what is known of a ticket, and copies of its records, as one JSON text and one record.

The record's ``raw`` is the package; its columns are those of the archived record, so that it answers the same
questions. Whoever reads a package needs no program of ours.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from retention.catalogue.tables import timestamp
from retention.schema import RECORD_SCHEMA
from tickets.archived import SOURCE
from tickets.queue import TicketDetail

FORMAT: Final = 2
_OWN: Final = ("event_time", "event_id", "event_action", "event_outcome", "message")
_COPIED: Final = tuple(
    name
    for name in RECORD_SCHEMA.names
    if not name.startswith(("log_", "error_")) and name not in (*_OWN, "event_ingested", "flags", "extra", "raw")
)


@dataclass(frozen=True, slots=True)
class Packed:
    """A package: its bytes and their digests in hexadecimal."""

    content: bytes
    sha256: str
    sm3: str


def pack(
    detail: TicketDetail,
    copies: Sequence[Mapping[str, Any]],
    proofs: Mapping[str, Mapping[str, Any]],
    moment: datetime,
) -> Packed:
    """The package of a ticket: ``copies`` of its records, and by segment its manifest with the log's proof."""
    ticket = detail.ticket
    package = {
        "format": FORMAT,
        "ticket": ticket.ticket_id,
        "sealed_at": timestamp(moment),
        "account": detail.user_id,
        "details": detail.details,
        "category": ticket.category,
        "subtype": ticket.subtype,
        "decision": ticket.decision,
        "channel": ticket.channel,
        "texts": list(detail.texts),
        "findings": list(detail.findings),
        "place": {"source": ticket.source, "partition": ticket.partition, "offset": ticket.offset},
        "record_class": ticket.record_class,
        "content_id": ticket.content_id,
        "published_at": ticket.event_time,
        "detected_at": ticket.detected_at,
        "blocked_at": ticket.blocked_at,
        "records": [_shown(item) for item in copies],
        "segments": proofs,
    }
    content = _json(package)
    return Packed(content, hashlib.sha256(content).hexdigest(), hashlib.new("sm3", content).hexdigest())


def _json(package: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(package, default=str, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # a text with half a surrogate pair, a whole number beyond 64 bits
        text = json.dumps(package, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
        return text.encode("utf-8", "surrogatepass")


def _shown(copy: Mapping[str, Any]) -> dict[str, Any]:
    segment = copy["manifest"].segment_id
    if "record" not in copy:
        return {"segment": segment, "missing": copy["missing"]}
    record = {name: _plain(value) for name, value in copy["record"].items() if value is not None}
    return {"segment": segment, "record": record}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$b64": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return timestamp(value)
    return dict(value) if isinstance(value, list) else value


def as_record(
    detail: TicketDetail,
    copies: Sequence[Mapping[str, Any]],
    packed: Packed,
    place: tuple[str, int],
    moment: datetime,
) -> dict[str, Any]:
    """The record: the columns of the archived one, else what the ticket knows of it."""
    ticket = detail.ticket
    own = (ticket.partition, ticket.offset)
    records = [item["record"] for item in copies if "record" in item]
    record: Mapping[str, Any] = next((r for r in records if (r["log_partition"], r["log_offset"]) == own), {})
    extra = {
        "record_class": ticket.record_class,
        "record_source": ticket.source,
        "record_partition": ticket.partition,
        "record_offset": str(ticket.offset),
        "published_at": ticket.event_time,
        "detected_at": ticket.detected_at,
        "category": ticket.category,
        "decision": ticket.decision or "",
        "sha256": packed.sha256,
        "sm3": packed.sm3,
    }
    copied = {name: record.get(name) for name in _COPIED}
    return {
        **dict.fromkeys(RECORD_SCHEMA.names),
        **copied,
        "user_id": _text(detail.user_id),
        "content_id": ticket.content_id,
        "url_original": copied.get("url_original") or _text(detail.details.get("url")),
        "text": _text("\n".join(str(entry["text"]) for entry in detail.texts)),
        "log_source": SOURCE,
        "log_partition": place[0],
        "log_offset": place[1],
        "log_length": 1,
        "event_ingested": moment,
        "event_time": moment,
        "event_id": ticket.ticket_id,
        "event_action": "evidence.sealed",
        "extra": list(extra.items()),
        "raw": packed.content,
    }


def _text(value: str | None) -> str | None:
    """Text that a column can hold; the package has it as it was."""
    return None if value is None else value.encode("utf-8", "replace").decode()
