"""The scope of a disclosure: which classes, accounts, fields and time. What is exported is exactly that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from retention.disclosure.errors import DisclosureScopeError
from retention.schema import RECORD_SCHEMA, RecordClass

PLACE: Final = ("log_source", "log_partition", "log_offset")
"""Where a record stood: ties every row to its segment's proof. Always exported."""
ALWAYS: Final = (*PLACE, "event_time", "user_id")
"""Fields without which nobody could check that a row lies in the scope."""
MAX_ACCOUNTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Classes by name, accounts (``user_id``), fields (columns of the record schema), and the time [since, until)."""

    classes: tuple[str, ...]
    accounts: tuple[str, ...]
    fields: tuple[str, ...]
    since: datetime
    until: datetime

    @classmethod
    def of(
        cls,
        classes: tuple[str, ...],
        accounts: tuple[str, ...],
        fields: tuple[str, ...],
        since: datetime,
        until: datetime,
    ) -> Scope:
        """A scope whose parts exist.

        Raises:
            DisclosureScopeError: it is empty, too wide, or names what does not exist.
        """
        known = {item.value for item in RecordClass}
        if not classes or not set(classes) <= known:
            raise DisclosureScopeError("A disclosure names record classes.", cure=f"Known: {', '.join(sorted(known))}.")
        if not accounts or len(accounts) > MAX_ACCOUNTS or not all(accounts):
            raise DisclosureScopeError(
                f"A disclosure names 1 to {MAX_ACCOUNTS} accounts.", cure="Split a larger request by accounts."
            )
        unknown = sorted(set(fields) - set(RECORD_SCHEMA.names))
        if not fields or unknown:
            raise DisclosureScopeError(
                f"A disclosure names fields of the record schema; not: {', '.join(unknown) or 'none given'}.",
                cure="See docs/records.md for the columns.",
            )
        if since.tzinfo is None or until.tzinfo is None or not since < until:
            raise DisclosureScopeError("The time of a disclosure ends after it begins.", cure="Check both times.")
        chosen = tuple(name for name in RECORD_SCHEMA.names if name in {*fields, *ALWAYS})
        ordered = (*PLACE, *(name for name in chosen if name not in PLACE))
        return cls(tuple(sorted(set(classes))), tuple(sorted(set(accounts))), ordered, since, until)

    def sql(self, record_class: str) -> str:
        """The one query whose answer is exported for a class."""
        columns = ", ".join(f'"{name}"' for name in self.fields)
        accounts = ", ".join(_quoted(account) for account in self.accounts)
        view = RecordClass(record_class).view
        return (
            f"SELECT {columns} FROM {view} WHERE user_id IN ({accounts}) "  # noqa: S608 - every part is quoted or known
            f"AND event_time >= TIMESTAMPTZ {_quoted(self.since.isoformat())} "
            f"AND event_time < TIMESTAMPTZ {_quoted(self.until.isoformat())} "
            "ORDER BY log_source, log_partition, log_offset"
        )

    def as_json(self) -> dict[str, Any]:
        """The scope as a bundle and an approver see it."""
        return {**asdict(self), "since": self.since.isoformat(), "until": self.until.isoformat()}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Scope:
        """Read a scope back.

        Raises:
            DisclosureScopeError: it is malformed.
        """
        try:
            return cls.of(
                tuple(map(str, body["classes"])),
                tuple(map(str, body["accounts"])),
                tuple(map(str, body["fields"])),
                datetime.fromisoformat(body["since"]),
                datetime.fromisoformat(body["until"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DisclosureScopeError("The scope is malformed.", cure="Ask for the bundle again.") from error


def is_text(value: str, most: int) -> bool:
    """Whether this can be sealed, asked for and printed: UTF-8 without NUL, not over so many characters."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return len(value) <= most and "\0" not in value


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
