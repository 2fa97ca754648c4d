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
import pyarrow as pa

from retention.catalogue.tables import timestamp
from retention.crypto.suites import suite
from retention.schema import RECORD_SCHEMA
from tickets.archived import SOURCE
from tickets.queue import TicketDetail

FORMAT: Final = 2
_OWN: Final = ("event_time", "event_id", "event_action", "event_outcome", "message")
_COPIED: Final = frozenset(
    name
    for name in RECORD_SCHEMA.names
    if not name.startswith(("log_", "error_")) and name not in (*_OWN, "event_ingested", "flags", "extra", "raw")
)


@dataclass(frozen=True, slots=True)
class Proof:
    """A segment's manifest with the log's proof of it, and the same as it stands in packages: many share it."""

    told: Mapping[str, Any]
    spelled: orjson.Fragment

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Proof:
        """Spell it once."""
        return cls(told, orjson.Fragment(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)))


@dataclass(frozen=True, slots=True)
class Packed:
    """A package: its bytes and their digests in hexadecimal."""

    content: bytes
    sha256: str
    sm3: str


def pack(
    detail: TicketDetail,
    copies: Sequence[Mapping[str, Any]],
    proofs: Mapping[str, Proof],
    sealed_at: str,
) -> Packed:
    """The package of a ticket: ``copies`` of its records, and by segment its manifest with the log's proof."""
    ticket = detail.ticket
    package = {
        "format": FORMAT,
        "ticket": ticket.ticket_id,
        "sealed_at": sealed_at,
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
    }
    content = _json(package, proofs)
    return Packed(content, hashlib.sha256(content).hexdigest(), suite().hash(content).hex())


def _json(package: Mapping[str, Any], proofs: Mapping[str, Proof]) -> bytes:
    try:
        spelled = {name: proof.spelled for name, proof in proofs.items()}
        return orjson.dumps({**package, "segments": spelled}, default=str, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # a text with half a surrogate pair, a whole number beyond 64 bits
        whole = {**package, "segments": {name: proof.told for name, proof in proofs.items()}}
        text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
        return text.encode("utf-8", "surrogatepass")


def _shown(copy: Mapping[str, Any]) -> dict[str, Any]:
    segment = copy["manifest"].segment_id
    if "record" not in copy:
        return {"segment": segment, "missing": copy["missing"]}
    record = {
        name: value if type(value) is str else _plain(value)
        for name, value in copy["record"].items()
        if value is not None
    }
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
    """The record, without the columns that it does not have: those of the archived one, else what the ticket knows."""
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
    copied = {name: value for name, value in record.items() if name in _COPIED}
    return {
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


def as_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Records in ``RECORD_SCHEMA``; a column that none of them has is made of nothing, not value by value."""
    there = {name for record in records for name in record}
    return pa.Table.from_arrays(
        [
            pa.array([record.get(field.name) for record in records], field.type)
            if field.name in there
            else pa.nulls(len(records), field.type)
            for field in RECORD_SCHEMA
        ],
        schema=RECORD_SCHEMA,
    )
