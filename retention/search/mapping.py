"""How documents look: field names of the Elastic Common Schema, their types, the index template, names of indices."""

from __future__ import annotations

from typing import Any, Final

from retention.search.settings import SearchSettings

PATHS: Final[dict[str, str]] = {
    "event_ingested": "event.ingested",
    "event_time": "event.created",
    "event_id": "event.id",
    "event_action": "event.action",
    "event_outcome": "event.outcome",
    "user_id": "user.id",
    "user_name": "user.name",
    "user_identity_ref": "liucun.user.identity_ref",
    "user_registration_ip": "liucun.user.registration_ip",
    "user_registration_time": "liucun.user.registration_time",
    "source_ip": "source.ip",
    "source_port": "source.port",
    "source_mac": "source.mac",
    "destination_ip": "destination.ip",
    "destination_port": "destination.port",
    "device_id": "device.id",
    "device_model_name": "device.model.name",
    "session_id": "liucun.session.id",
    "url_original": "url.original",
    "http_request_method": "http.request.method",
    "http_request_referrer": "http.request.referrer",
    "http_response_status_code": "http.response.status_code",
    "http_response_body_bytes": "http.response.body.bytes",
    "http_version": "http.version",
    "user_agent_original": "user_agent.original",
    "host_name": "host.name",
    "process_name": "process.name",
    "process_pid": "process.pid",
    "log_syslog_priority": "log.syslog.priority",
    "order_id": "liucun.order.id",
    "order_status": "liucun.order.status",
    "counterparty_id": "liucun.counterparty.id",
    "item_id": "liucun.item.id",
    "quantity": "liucun.quantity",
    "unit_price": "liucun.unit_price",
    "amount": "liucun.amount",
    "currency": "liucun.currency",
    "transaction_completed_at": "liucun.transaction_completed_at",
    "content_id": "liucun.content.id",
    "content_type": "liucun.content.type",
    "text": "liucun.text",
    "message": "message",
    "flags": "liucun.flags",
    "log_source": "liucun.source",
    "log_partition": "liucun.partition",
    "log_offset": "log.offset",
}
"""A record's column and its field: ECS 8 where it has a name for it, else below ``liucun``."""

PERSONAL: Final = frozenset(
    {
        "user_id",
        "user_name",
        "user_identity_ref",
        "user_registration_ip",
        "source_ip",
        "source_mac",
        "device_id",
        "session_id",
        "counterparty_id",
    }
)
"""Columns that name or locate a person: hashed with a key, or left out."""

BARE_URLS: Final = frozenset({"url_original", "http_request_referrer"})
"""Only what stands before ``?`` or ``#``: behind it stand names, numbers and tokens."""

TIMES: Final = frozenset({"event_ingested", "event_time", "user_registration_time", "transaction_completed_at"})
INTEGERS: Final = frozenset(
    {
        "source_port",
        "destination_port",
        "http_response_status_code",
        "http_response_body_bytes",
        "process_pid",
        "log_syslog_priority",
        "log_offset",
    }
)
DECIMALS: Final = frozenset({"quantity", "unit_price", "amount"})
TEXTS: Final = frozenset({"text", "message"})

LABEL: Final = "liucun.segment"
PERSONS: Final = "liucun.persons"
REFUSED: Final = "liucun.refused"
ANALYZER: Final = "liucun_text"
KEYWORD_CHARACTERS: Final = 8191
"""Longer values are kept and not indexed: a term of Lucene has at most 32,766 bytes, a character at most four."""


def columns(settings: SearchSettings) -> list[str]:
    """The columns that documents are made of."""
    left_out = PERSONAL if settings.personal == "left_out" else frozenset()
    return [name for name in PATHS if name not in left_out and (name not in TEXTS or name in settings.texts)]


def alias(settings: SearchSettings, record_class: str) -> str:
    """The name by which a class is searched."""
    return f"{settings.prefix}-{record_class}"


def index_name(settings: SearchSettings, record_class: str, period: str, number: int) -> str:
    """One of a class's indices of a month, e.g. ``liucun-user_log-2026.11-000001``."""
    return f"{alias(settings, record_class)}-{period.replace('-', '.')}-{number:06d}"


def template(settings: SearchSettings, record_class: str, mark: dict[str, Any]) -> dict[str, Any]:
    """The template of a class's indices or data streams; ``mark`` tells whose they are."""
    return {
        **({"data_stream": {}} if settings.data_streams else {}),
        "index_patterns": [f"{alias(settings, record_class)}-*"],
        "priority": 500,
        "_meta": {"liucun": mark},
        "template": {
            "aliases": {alias(settings, record_class): {}},
            "settings": {
                "number_of_shards": settings.shards,
                "number_of_replicas": settings.replicas,
                # A value that does not fit its field is kept in the document and named in its `_ignored`.
                "index.mapping.ignore_malformed": True,
                "index.mapping.total_fields.limit": 200,
                "analysis": {"analyzer": {ANALYZER: {"type": settings.analyzer}}},
            },
            "mappings": {"dynamic": False, "_meta": {"liucun": mark}, "properties": _properties(settings)},
        },
    }


def _properties(settings: SearchSettings) -> dict[str, Any]:
    keyword = {"type": "keyword", "ignore_above": KEYWORD_CHARACTERS}
    flat: dict[str, dict[str, Any]] = {
        "@timestamp": {"type": "date"},
        "liucun.class": keyword,
        LABEL: keyword,
        PERSONS: keyword,
        REFUSED: keyword,
    }
    if settings.data_streams:
        # A stream's time must not be ignorable, and the setting of all fields would make it so (before 8.7).
        flat["@timestamp"]["ignore_malformed"] = False
    for name in columns(settings):
        flat[PATHS[name]] = _type(name, keyword)
    if settings.extra != "left_out":
        flat["liucun.extra"] = {"type": "flattened", "ignore_above": 1024}
    tree: dict[str, Any] = {}
    for path, kind in flat.items():
        *above, last = path.split(".")
        level = tree
        for part in above:
            level = level.setdefault(part, {"properties": {}})["properties"]
        level[last] = kind
    return tree


def _type(name: str, keyword: dict[str, Any]) -> dict[str, Any]:
    if name in TIMES:
        return {"type": "date"}
    if name in INTEGERS:
        return {"type": "long"}
    if name in DECIMALS:
        return {"type": "double"}
    if name in TEXTS:
        return {"type": "text", "analyzer": ANALYZER}
    if name == "destination_ip":
        return {"type": "ip"}
    return keyword
