"""A disclosure for tests: its case and scope, asked for by one, approved by two others, exported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from retention.disclosure.export import Exported, export
from retention.disclosure.register import Case
from retention.disclosure.requests import approve, request
from retention.disclosure.scope import Scope
from retention.transparency.keeping import LogKeeper
from tests.retention.sealed_store import START, SealedStore

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CASE = Case("某市公安局", "网安〔2026〕17号", "网络安全法 第三十条", "调查电信诈骗")
CSV = "data/user_log.csv"
SCOPE = Scope.of(("user_log",), ("u1", "u3"), ("source_ip", "event_id"), START, START + timedelta(days=2))


def log_of(store: SealedStore) -> LogKeeper:
    """The store's log."""
    return LogKeeper(store.catalogue, store.objects, store.period_keys, store.archive.suite)


def requested(store: SealedStore, scope: Scope = SCOPE) -> str:
    """A request by ann."""
    return request(store, CASE, scope, b"%PDF case", expires_at=NOW + timedelta(days=30), actor="user:ann", now=NOW)


def exported(store: SealedStore, scope: Scope = SCOPE) -> Exported:
    """An approved and exported disclosure."""
    number = requested(store, scope)
    for actor in ("user:ben", "user:cid"):
        approve(store, number, actor=actor, now=NOW)
    return export(store, log_of(store), number, actor="user:ann", now=NOW)
