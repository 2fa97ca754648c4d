"""The one Arrow schema of all record classes, and the classes themselves.

Column names are those of the Elastic Common Schema with ``_`` for ``.``;
what ECS has no name for (orders, registration) is named in its style. A record
keeps its place in the source (``log_*``), so that every row can be traced to the
bytes it came from, and ``raw``, those bytes without their line terminator.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import pyarrow as pa

from errors import StorageError

SCHEMA_VERSION: Final = 1
"""Raised with every added column. Columns are only ever added, never renamed, retyped or taken away."""

DECIMAL: Final = pa.decimal128(18, 6)
"""Quantities and amounts: 12 integer and 6 fractional digits, so that a product still fits 38 digits."""

_TIME = pa.timestamp("us", tz="UTC")
_LABEL = pa.dictionary(pa.int32(), pa.string())

EVIDENCE_SOURCE: Final = "system:evidence"
"""The source of records of evidence; each ticket has a partition of its own in it."""


def evidence_partition(ticket_id: str) -> str:
    """The partition of a ticket's evidence."""
    return f"ticket:{ticket_id}"


class RecordClass(StrEnum):
    """Record classes (日志类别), each with a retention policy and a view of its own."""

    USER_LOG = "user_log"
    TRANSACTION = "transaction"
    CONTENT = "content"
    SELLER_IDENTITY = "seller_identity"
    LIVE_INDEX = "live_index"
    EVIDENCE = "evidence"
    UNPARSED = "unparsed"

    @property
    def view(self) -> str:
        """Name of the class's view in queries."""
        return _VIEWS[self]


_VIEWS: Final[dict[RecordClass, str]] = {
    RecordClass.USER_LOG: "user_logs",
    RecordClass.TRANSACTION: "transactions",
    RecordClass.CONTENT: "content",
    RecordClass.SELLER_IDENTITY: "seller_identities",
    RecordClass.LIVE_INDEX: "live_index",
    RecordClass.EVIDENCE: "evidence",
    RecordClass.UNPARSED: "unparsed",
}

PLACE_FIELDS: Final = (
    pa.field("log_source", _LABEL, nullable=False),
    pa.field("log_partition", _LABEL, nullable=False),
    pa.field("log_offset", pa.int64(), nullable=False),
    pa.field("log_length", pa.int32(), nullable=False),
)
"""Where the record stood: ``log_length`` counts its terminator, ``raw`` does not hold it."""

INGEST_FIELDS: Final = (
    pa.field("event_ingested", _TIME, nullable=False),
    pa.field("flags", _LABEL),
)
"""``flags``: comma-separated remarks of decoding (see ``Flag``), null when there is none."""

MAPPED_FIELDS: Final = (
    pa.field("event_time", _TIME),
    pa.field("event_id", pa.string()),
    pa.field("event_action", pa.string()),
    pa.field("event_outcome", pa.string()),
    pa.field("user_id", pa.string()),
    pa.field("user_name", pa.string()),
    pa.field("user_identity_ref", pa.string()),
    pa.field("user_registration_ip", pa.string()),
    pa.field("user_registration_time", _TIME),
    pa.field("source_ip", pa.string()),
    pa.field("source_port", pa.int32()),
    pa.field("source_mac", pa.string()),
    pa.field("destination_ip", pa.string()),
    pa.field("destination_port", pa.int32()),
    pa.field("device_id", pa.string()),
    pa.field("device_model_name", pa.string()),
    pa.field("session_id", pa.string()),
    pa.field("url_original", pa.string()),
    pa.field("http_request_method", pa.string()),
    pa.field("http_request_referrer", pa.string()),
    pa.field("http_response_status_code", pa.int32()),
    pa.field("http_response_body_bytes", pa.int64()),
    pa.field("http_version", pa.string()),
    pa.field("user_agent_original", pa.string()),
    pa.field("host_name", pa.string()),
    pa.field("process_name", pa.string()),
    pa.field("process_pid", pa.int64()),
    pa.field("log_syslog_priority", pa.int32()),
    pa.field("message", pa.string()),
    pa.field("order_id", pa.string()),
    pa.field("order_status", pa.string()),
    pa.field("counterparty_id", pa.string()),
    pa.field("item_id", pa.string()),
    pa.field("quantity", DECIMAL),
    pa.field("unit_price", DECIMAL),
    pa.field("amount", DECIMAL),
    pa.field("currency", pa.string()),
    pa.field("transaction_completed_at", _TIME),
    pa.field("content_id", pa.string()),
    pa.field("content_type", pa.string()),
    pa.field("text", pa.string()),
)
"""Columns that an incoming field may be mapped to."""

REST_FIELDS: Final = (
    pa.field("extra", pa.map_(pa.string(), pa.string())),
    pa.field("error_code", _LABEL),
    pa.field("error_message", pa.string()),
    pa.field("raw", pa.binary(), nullable=False),
)
"""``extra`` holds what has no column; ``error_*`` say why a row is ``unparsed``."""

RECORD_SCHEMA: Final = pa.schema([*PLACE_FIELDS, *INGEST_FIELDS, *MAPPED_FIELDS, *REST_FIELDS])

MAPPED_NAMES: Final = frozenset(field.name for field in MAPPED_FIELDS)


class Flag(StrEnum):
    """Remarks of decoding that stand in a record's ``flags``."""

    ZONE_ASSUMED = "zone_assumed"
    """The time had no zone; the source's was taken."""
    YEAR_ASSUMED = "year_assumed"
    """The time had no year (RFC 3164); the nearest past one was taken."""
    TIME_MISSING = "time_missing"
    """There was no event time; retention counts from ingest."""
    TIME_IMPLAUSIBLE = "time_implausible"
    """The event time lies before 2000 or over a day after ingest; retention counts from ingest."""
    VALUE_KEPT_AS_TEXT = "value_kept_as_text"
    """A value did not fit its column's type and stands in ``extra`` under the column's name."""


class NewerSchemaError(StorageError):
    """Records have columns that this version of the program does not know: rewriting them would lose those."""


def as_current(table: pa.Table) -> pa.Table:
    """Records as an earlier version sealed them, in ``RECORD_SCHEMA``: columns that came later are null.

    Raises:
        NewerSchemaError: a newer version of the program sealed them.
    """
    if table.schema.equals(RECORD_SCHEMA):
        return table
    unknown = [name for name in table.column_names if name not in RECORD_SCHEMA.names]
    if unknown:
        raise NewerSchemaError(
            f"Records have columns that this version does not know: {', '.join(unknown)}.",
            cure="Nothing was changed. Use the version of the program that sealed them, or a newer one.",
        )
    for field in RECORD_SCHEMA:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(RECORD_SCHEMA.names).cast(RECORD_SCHEMA)
