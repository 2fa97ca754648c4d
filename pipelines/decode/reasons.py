"""Why a record could not be read and is archived as it came, in class ``unparsed``."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final


class Reason(StrEnum):
    """Code of the reason (column ``error_code``)."""

    INVALID_UTF8 = "invalid_utf8"
    NUL_BYTE = "nul_byte"
    OVERSIZED = "oversized_record"
    TRUNCATED = "truncated"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "json_not_an_object"
    DUPLICATE_KEY = "duplicate_key"
    LONE_SURROGATE = "lone_surrogate"
    TOO_DEEP = "nested_too_deeply"
    TOO_MANY_FIELDS = "too_many_fields"
    COLUMN_COUNT = "column_count"
    STRAY_QUOTE = "stray_quote"
    OPEN_QUOTE = "open_quote"
    BARE_CR = "bare_carriage_return"
    UNUSABLE_HEADER = "unusable_header"
    NOT_COMBINED = "not_combined"
    NOT_SYSLOG = "not_syslog"
    UNREADABLE_TIME = "unreadable_time"
    PROGRAM_FAULT = "program_fault"

    @property
    def message(self) -> str:
        """One sentence for a person (column ``error_message``)."""
        return _MESSAGES[self]


_MESSAGES: Final[dict[Reason, str]] = {
    Reason.INVALID_UTF8: "The record is not valid UTF-8.",
    Reason.NUL_BYTE: "The record holds a NUL byte.",
    Reason.OVERSIZED: "The record is longer than 64 MiB; this is one of its pieces.",
    Reason.TRUNCATED: "The record ends in the middle of a JSON value.",
    Reason.NOT_JSON: "The record is not valid JSON (RFC 8259).",
    Reason.NOT_AN_OBJECT: "The record is valid JSON, but not an object.",
    Reason.DUPLICATE_KEY: "A JSON object of the record names a key twice.",
    Reason.LONE_SURROGATE: "A \\u escape of the record stands for half a character.",
    Reason.TOO_DEEP: "The record is nested more than 512 levels deep.",
    Reason.TOO_MANY_FIELDS: "The record holds more than a million keys.",
    Reason.COLUMN_COUNT: "The row has more or fewer fields than the header names.",
    Reason.STRAY_QUOTE: "A quoted field goes on after its closing quote.",
    Reason.OPEN_QUOTE: "A quoted field is not closed, or its record exceeds 1 MiB or 1,000 lines.",
    Reason.BARE_CR: "The row holds a carriage return that neither is quoted nor ends a line.",
    Reason.UNUSABLE_HEADER: "The file's header row cannot be read, so that its columns have no names.",
    Reason.NOT_COMBINED: "The line is not in the common or combined log format.",
    Reason.NOT_SYSLOG: "The line is neither RFC 5424 nor RFC 3164 syslog.",
    Reason.UNREADABLE_TIME: "The event time is in no known format.",
    Reason.PROGRAM_FAULT: "The program failed on this record every time; it was neither read nor scanned.",
}


class Code(IntEnum):
    """The reasons as compiled loops write them: one byte a record, 0 for a readable one."""

    FINE = 0
    INVALID_UTF8 = 1
    NUL_BYTE = 2
    OVERSIZED = 3
    TRUNCATED = 4
    NOT_JSON = 5
    NOT_AN_OBJECT = 6
    DUPLICATE_KEY = 7
    LONE_SURROGATE = 8
    TOO_DEEP = 9
    TOO_MANY_FIELDS = 10
    COLUMN_COUNT = 11
    STRAY_QUOTE = 12
    OPEN_QUOTE = 13
    BARE_CR = 14
    UNUSABLE_HEADER = 15
    NOT_COMBINED = 16
    NOT_SYSLOG = 17
    UNREADABLE_TIME = 18
    PROGRAM_FAULT = 19

    @property
    def reason(self) -> Reason:
        """The reason behind the code; ``FINE`` has none (KeyError)."""
        return Reason[self.name]
