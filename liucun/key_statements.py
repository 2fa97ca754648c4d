"""Certificates of a store's cryptography, for the start of a run, ``doctor``, ``keys list`` and audits."""

from __future__ import annotations

from datetime import UTC, datetime

from liucun.times import SHANGHAI
from retention.crypto.sm2 import implementation
from retention.crypto.suites import suite
from retention.keys.certificates import Statement, statements, summary
from retention.keys.provider import UNCERTIFIED, SignsLog
from retention.store import Store


def statements_of(store: Store, *, now: datetime | None = None) -> tuple[Statement, ...]:
    """What protects keys, encrypts and signs in this store, and with which certificate."""
    return statements(
        store.settings.keys.certificates,
        store.provider.description,
        suite(store.settings.archive.suite),
        implementation(),
        today=(now or datetime.now(UTC)).astimezone(SHANGHAI).date(),
        device_signs=isinstance(store.provider, SignsLog) and store.provider.log_public is not None,
    )


def certification_of(store: Store) -> str:
    """``uncertified`` where no product is certified, else the three statements one after the other."""
    found = statements_of(store)
    return "; ".join(statement.words for statement in found) if any(s.certified for s in found) else UNCERTIFIED


def start_line(store: Store) -> str:
    """The line that a run begins with."""
    return summary(statements_of(store))
